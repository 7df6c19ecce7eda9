"""The table of jobs: one row a job, made anew from the folders by `reindex`."""
