angular.module('chart_app', []);
window.chart_after = window.chart_names.length;
