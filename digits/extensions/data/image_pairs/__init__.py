"""Pairs of pictures with the same base name: image processing (picture to picture) and segmentation (picture to index map)."""

from digits.extensions.data.image_pairs.processing import ProcessingIngestion
from digits.extensions.data.image_pairs.segmentation import SegmentationIngestion

__all__ = ["ProcessingIngestion", "SegmentationIngestion"]
