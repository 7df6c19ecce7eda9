"""Data plugin: pictures with a gradient."""

from digits_data_image_gradients.data import DataIngestion

__all__ = ["DataIngestion"]
