"""Texts of library networks for boxes and for maps, filled by `catalog.network_text`: what stands in braces."""

from __future__ import annotations

_HEAD = '''"""{title}: {parameters} parameters.

{about}
"""
'''

# One wrapper for torchvision's detectors: our class numbers start at 0, some of theirs at 1, after the background.
_WRAPPER = '''

class Detector(nn.Module):
    """torchvision's detector behind the contract of digits: class numbers from 0, what is ignored left out."""

    def __init__(self, body, first):
        super().__init__()
        self.body = body
        self.first = first  # 1 where class 0 is the background

    def forward(self, images, targets=None):
        if self.training:
            return self.body(list(images), [self.shifted(t, self.first) for t in targets])
        return [self.shifted(found, -self.first) | {{"scores": found["scores"]}} for found in self.body(list(images))]

    def shifted(self, boxes, by):
        return {{"boxes": boxes["boxes"], "labels": boxes["labels"] + by}}


def whole_picture(context):
    """No resizing, and no normalisation on top of ours."""
    channels, height, width = context.input_shape
    size = dict(min_size=min(height, width), max_size=max(height, width))
    return dict(size, image_mean=[0.0] * channels, image_std=[1.0] * channels)


def smallest(context):
    """Side of the small objects of the data set in pixels."""
    return max(context.box_sizes[0] if context.box_sizes else min(context.input_shape[1:]) / 10, 4.0)


def first_channels(body, channels):
    """Let the first convolution take another number of channels than 3."""
    if channels != 3:
        name, old = next((n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d))
        new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)
        setattr(body.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], new)
    return body
'''

_RESNET = (
    """
import torchvision
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.{module} import {family}
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

BATCH_SIZE = {batch}
BACKBONE = "{backbone}"
"""
    + _WRAPPER
)

FASTER_RCNN = (
    _HEAD
    + _RESNET.replace("from torchvision.ops.feature_pyramid_network import LastLevelP6P7\n", "")
    + """

def build_network(context):
    channels = context.input_shape[0]
    weights = "DEFAULT" if context.pretrained and channels == 3 else None
    backbone = torchvision.models.detection.backbone_utils.resnet_fpn_backbone(
        backbone_name=BACKBONE, weights=weights, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    sides = tuple((round(smallest(context) * 2**level),) for level in range(5))  # of the anchors at 1/4 … 1/64 of the size
    anchors = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * 5)
    first_channels(backbone, channels)
    body = FasterRCNN(backbone, context.num_classes + 1, rpn_anchor_generator=anchors, **whole_picture(context))
    return Detector(body, first=1)
"""
)

_PYRAMID = """

def build_network(context):
    channels = context.input_shape[0]
    weights = "DEFAULT" if context.pretrained and channels == 3 else None
    backbone = torchvision.models.detection.backbone_utils.resnet_fpn_backbone(
        backbone_name=BACKBONE,
        weights=weights,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    first_channels(backbone, channels)
"""

RETINANET = (
    _HEAD
    + _RESNET
    + _PYRAMID
    + """    side = smallest(context)  # the anchors at 1/8 … 1/128 of the size: three each
    sides = tuple(tuple(round(side * 2 ** (level + third / 3)) for third in range(3)) for level in range(5))
    anchors = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * 5)
    body = RetinaNet(backbone, context.num_classes, anchor_generator=anchors, **whole_picture(context))
    return Detector(body, first=0)
"""
)

FCOS = (
    _HEAD
    + _RESNET
    + _PYRAMID
    + """    # On each of five maps objects of 4 to 8 times these sides are found.
    sides = tuple((max(round(smallest(context) / 4), 2) * 2**level,) for level in range(5))
    body = FCOS(backbone, context.num_classes, anchor_generator=AnchorGenerator(sides, ((1.0,),) * 5), **whole_picture(context))
    return Detector(body, first=0)
"""
)

SSDLITE = (
    _HEAD
    + """
import torchvision
from torch import nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform

BATCH_SIZE = {batch}
"""
    + _WRAPPER
    + """

def build_network(context):
    channels, height, width = context.input_shape
    body = torchvision.models.get_model("{name}", weights=None, weights_backbone=None, num_classes=context.num_classes + 1)
    first_channels(body.backbone, channels)
    size = (width, height)
    body.transform = GeneralizedRCNNTransform(**whole_picture(context), size_divisible=1, fixed_size=size)
    side = smallest(context) / max(size)  # of the boxes to start from, as part of the picture, on six maps
    scales = [min(side * (0.95 / side) ** (level / 6), 1.0) for level in range(7)]
    body.anchor_generator = DefaultBoxGenerator([[2, 3]] * 6, scales=scales)
    return Detector(body, first=1)
"""
)

TORCHVISION_MAPS = (
    _HEAD
    + '''
import torch.nn.functional as F
import torchvision
from torch import nn

BATCH_SIZE = {batch}


class Scores(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % 16, 0, -height % 16))
        return self.body(padded)["out"][..., :height, :width]


def first_channels(body, channels):
    """Let the first convolution take another number of channels than 3."""
    if channels != 3:
        name, old = next((n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d))
        new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)
        setattr(body.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], new)
    return body


def build_network(context):
    channels = context.input_shape[0]
    weights = "DEFAULT" if context.pretrained and channels == 3 else None  # of the backbone
    outputs = context.num_classes if context.task == "segmentation" else context.label_shape[0]
    body = torchvision.models.get_model("{name}", weights=None, weights_backbone=weights, num_classes=outputs)
    return Scores(first_channels(body, channels))
'''
)

ANY_SIZE = """STEP = 32  # the encoder halves width and height five times


class AnySize(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % STEP, 0, -height % STEP))
        return self.body(padded)[..., :height, :width]
"""

SMP = (
    _HEAD
    + """
import segmentation_models_pytorch as smp
import torch.nn.functional as F
from torch import nn

BATCH_SIZE = {batch}
DECODER = "{name}"
ENCODER = "{backbone}"  # any of smp.encoders.get_encoder_names(), or "tu-" and the name of a network of timm
"""
    + ANY_SIZE
    + """

def build_network(context):
    outputs = context.num_classes if context.task == "segmentation" else context.label_shape[0]
    weights = "imagenet" if context.pretrained else None
    options = dict(encoder_name=ENCODER, encoder_weights=weights, in_channels=context.input_shape[0], classes=outputs)
    return AnySize(smp.create_model(DECODER, **options))
"""
)
