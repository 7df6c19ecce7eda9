"""Data plugin: texts with a class."""

from digitsDataPluginTextClassification.data import DataIngestion

__all__ = ["DataIngestion"]
