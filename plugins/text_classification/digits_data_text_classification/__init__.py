"""Data plugin: texts with a class."""

from digits_data_text_classification.data import DataIngestion

__all__ = ["DataIngestion"]
