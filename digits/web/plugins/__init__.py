"""Pages and JSON of plugins."""
