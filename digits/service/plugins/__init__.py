"""Plugins: their host, their packages, their paths and views."""
