"""Data plugin: Sunnybrook cardiac MRI with contours of the left ventricle."""

from digitsDataPluginSunnybrook.data import DataIngestion

__all__ = ["DataIngestion"]
