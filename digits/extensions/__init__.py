"""Data sources and views: the two contracts, the built-ins, and the loader that finds them and everybody else's."""
