"""Pages and JSON of data sets."""
