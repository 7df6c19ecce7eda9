"""Object detection: boxes from KITTI, PASCAL VOC, COCO, YOLO and CSV files."""

from digits.extensions.data.image_object_detection.data import DataIngestion

__all__ = ["DataIngestion"]
