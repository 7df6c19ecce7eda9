"""Data plugin: questions about stories."""

from digits_data_babi.data import DataIngestion

__all__ = ["DataIngestion"]
