"""Data sets: forms, checks, creation, exploring."""
