"""Several labels for each picture, out of a CSV file or of folders."""

from digits.extensions.data.image_multi_label.data import DataIngestion

__all__ = ["DataIngestion"]
