"""Data plugin: pictures with a gradient."""

from digitsDataPluginImageGradients.data import DataIngestion

__all__ = ["DataIngestion"]
