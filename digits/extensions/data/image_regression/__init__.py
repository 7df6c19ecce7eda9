"""Numbers or several labels for each picture, out of a CSV file."""

from digits.extensions.data.image_regression.data import DataIngestion

__all__ = ["DataIngestion"]
