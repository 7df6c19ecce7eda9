"""Records: what ingest writes and training reads."""
