"""Pages, JSON and streams of jobs of every kind."""
