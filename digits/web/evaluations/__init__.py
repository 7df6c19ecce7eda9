"""Pages and JSON of predictions and evaluations."""
