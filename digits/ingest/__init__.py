"""From a data source to records: look, encode in parallel, write in order, and say what was found."""
