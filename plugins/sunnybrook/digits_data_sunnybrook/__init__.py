"""Data plugin: Sunnybrook cardiac MRI with contours of the left ventricle."""

from digits_data_sunnybrook.data import DataIngestion

__all__ = ["DataIngestion"]
