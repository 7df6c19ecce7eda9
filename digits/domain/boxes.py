"""Flags of a box in records of label kind `boxes`, one bit each; a box with any of them is not asked of the network."""

from __future__ import annotations

DIFFICULT = 1  # hard to see (VOC `difficult`): finding it is neither right nor wrong
CROWD = 2  # a region of many objects of its class (COCO `iscrowd`): any number of finds in it are neither right nor wrong
DONTCARE = 4  # a region nobody labelled (KITTI `DontCare`): as CROWD, for every class
CUT = 8  # moved mostly out of the picture by a crop or an augmentation: as DIFFICULT
IGNORED = DIFFICULT | CROWD | DONTCARE | CUT
