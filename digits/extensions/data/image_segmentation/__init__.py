"""Segmentation: a class for each pixel, from masks in many forms or from COCO polygons."""

from digits.extensions.data.image_segmentation.data import DataIngestion

__all__ = ["DataIngestion"]
