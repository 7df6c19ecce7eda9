"""DICOM series as a data set, without any installation: with masks (segmentation) or one class per folder (classification)."""

from digits.extensions.data.dicom.data import DataIngestion

__all__ = ["DataIngestion"]
