"""Image to image: pairs of pictures, or pictures alone for an autoencoder."""

from digits.extensions.data.image_processing.data import DataIngestion

__all__ = ["DataIngestion"]
