"""Pages and JSON of models."""
