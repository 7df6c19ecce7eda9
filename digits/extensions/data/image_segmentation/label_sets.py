"""Label sets of well-known data: the values or colours in their masks, the class names, what does not count.

Sources: PASCAL VOC development kit (names, colours by its bit rule), CamVid's label_colors.txt (32 classes) and the 11 classes
that segmentation papers use of it, Cityscapes' labels (the 19 that are evaluated).
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """Class names with, in the same order, the values of index masks and the colours of colour masks.

    `void` are further values, `void_colours` further colours, that do not count.
    """

    title: str
    names: tuple[str, ...]
    values: tuple[int, ...]
    colours: tuple[Colour, ...]
    void: tuple[int, ...] = (255,)
    void_colours: tuple[Colour, ...] = ()
    ending: str = ""  # which of several masks of a picture to take


def _voc_colour(index: int) -> Colour:
    """The development kit's rule: the bits of the index, three at a time, become the high bits of red, green and blue."""
    colour = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            colour[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return colour[0], colour[1], colour[2]


_VOC = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]

_CAMVID: dict[str, Colour] = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

_CAMVID_ALL: dict[str, Colour] = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Wall": (64, 192, 0),
}

_CITYSCAPES: dict[str, tuple[int, Colour]] = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}


def _plain(
    title: str, classes: dict[str, Colour], void: tuple[int, ...] = (255,), void_colours: tuple[Colour, ...] = ()
) -> LabelSet:
    return LabelSet(title, tuple(classes), tuple(range(len(classes))), tuple(classes.values()), void, void_colours)


def _cityscapes(title: str, by_id: bool, ending: str) -> LabelSet:
    values = tuple(number for number, _ in _CITYSCAPES.values()) if by_id else tuple(range(len(_CITYSCAPES)))
    others = tuple(sorted(set(range(34)) - set(values))) if by_id else ()
    return LabelSet(title, tuple(_CITYSCAPES), values, tuple(c for _, c in _CITYSCAPES.values()), (255, *others), ending=ending)


LABEL_SETS: dict[str, LabelSet] = {
    "voc": _plain(
        "PASCAL VOC (20 classes and background)",
        {name: _voc_colour(index) for index, name in enumerate(_VOC)},
        void_colours=((224, 224, 192),),
    ),
    "camvid": _plain("CamVid (11 classes, index masks)", _CAMVID, void=(11, 255), void_colours=((0, 0, 0),)),
    "camvid32": _plain("CamVid (31 classes, colour masks)", _CAMVID_ALL, void_colours=((0, 0, 0),)),
    "cityscapes": _cityscapes("Cityscapes (19 classes, labelIds)", True, "_labelIds"),
    "cityscapes-train": _cityscapes("Cityscapes (19 classes, labelTrainIds)", False, "_labelTrainIds"),
}
