"""Somebody's files: which there are, what text says in whatever encoding, which file a name stands for. All sources read through
this."""
