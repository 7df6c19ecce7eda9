"""Predictions of one picture or many, and evaluations kept as jobs."""
