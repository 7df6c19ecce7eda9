"""Where everything is kept: job folders and their files, event logs, records, and the database that makes lists fast."""
