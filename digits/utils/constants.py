"""Names shared with plugins: stages, files in a job's folder, ways of resizing, userdata keys with a meaning to the core."""

from __future__ import annotations

TRAIN_DB = "train_db"
VAL_DB = "val_db"
TEST_DB = "test_db"
TRAIN_FILE = "train.txt"
VAL_FILE = "val.txt"
TEST_FILE = "test.txt"
LABELS_FILE = "labels.txt"
MEAN_FILE_IMAGE = "mean.jpg"
MEAN_FILE_CAFFE = "mean.binaryproto"
DEFAULT_BATCH_SIZE = 16  # of a training, where neither the form nor the network text (`BATCH_SIZE`) says one

# How a picture is brought to a size (`digits.utils.resizing`), with the titles that forms show.
RESIZE_MODE_TITLES = {"squash": "Squash", "crop": "Crop", "fill": "Fill", "half_crop": "Half crop, half fill"}

# Keys of userdata that the core reads: 768 integers (R, G, B of 256 indices), and the class names in label order.
COLOR_PALETTE_ATTRIBUTE = "color_palette"
CLASS_LABELS_ATTRIBUTE = "class_labels"
