"""Data plugin: slices of brain scans with their segmentations."""

from digits_data_brats.data import DataIngestion

__all__ = ["DataIngestion"]
