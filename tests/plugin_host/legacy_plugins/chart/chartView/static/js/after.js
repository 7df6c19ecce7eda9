window.chart_after = window.chart_names.length;
