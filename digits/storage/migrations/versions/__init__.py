"""One script per change of the tables, numbered without gaps."""
