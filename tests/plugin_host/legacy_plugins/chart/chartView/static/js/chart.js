window.chart_names = []; function chart_seen(name) { window.chart_names.push(name); } function chart_click(button) { $(button).text("marked"); }
