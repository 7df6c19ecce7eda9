"""Texts of library networks, filled by `catalog.network_text`: name, size and batch stand in braces."""

from __future__ import annotations

from digits.networks.dense_texts import ANY_SIZE

TIMM = '''"""{title}: {parameters} parameters, meant for {side}×{side} pixels.

Input channels and classes follow the data set.
"""

import timm

BATCH_SIZE = {batch}


def build_network(context):
    channels, height, width = context.input_shape
    options = dict(pretrained=context.pretrained, in_chans=channels, num_classes=context.num_classes)
    try:  # networks with position embeddings are built for one size
        return timm.create_model("{name}", img_size=(height, width), **options)
    except TypeError:
        return timm.create_model("{name}", **options)
'''

TORCHVISION = '''"""{title}: {parameters} parameters, meant for {side}×{side} pixels.

Input channels and classes follow the data set.
"""

import torch
import torchvision
from torch import nn

BATCH_SIZE = {batch}


def adapt(module, channels, classes):
    """Give the first convolution `channels` inputs and the last layers of 1000 scores `classes`."""
    first = True
    for name, child in list(module.named_modules()):
        parent = module.get_submodule(name.rpartition(".")[0])
        last = name.rpartition(".")[2]
        if isinstance(child, nn.Conv2d) and first:
            first = False
            if child.in_channels != channels:
                setattr(parent, last, first_convolution(child, channels))
        elif isinstance(child, nn.Linear) and child.out_features == 1000:
            setattr(parent, last, nn.Linear(child.in_features, classes))
        elif isinstance(child, nn.Conv2d) and child.out_channels == 1000:
            setattr(parent, last, nn.Conv2d(child.in_channels, classes, child.kernel_size))
    return module


def first_convolution(old, channels):
    new = nn.Conv2d(
        channels, old.out_channels, old.kernel_size, old.stride, old.padding, old.dilation, bias=old.bias is not None
    )
    with torch.no_grad():  # pretrained filters for other channels: their mean, scaled to keep the sum
        new.weight.copy_(old.weight.mean(dim=1, keepdim=True).expand_as(new.weight) * old.in_channels / channels)
    return new


class Scores(nn.Module):
    """Some networks return auxiliary scores beside the main ones while training; the main ones count."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        result = self.body(x)
        return result[0] if isinstance(result, tuple) else result


def build_network(context):
    weights = "DEFAULT" if context.pretrained else None
    body = torchvision.models.get_model("{name}", weights=weights)
    return Scores(adapt(body, context.input_shape[0], context.num_classes))
'''

HUB = '''"""{name} of the Hugging Face hub, as timm builds it.

Input channels and classes follow the data set. Its configuration and weights are fetched once and kept by huggingface_hub.
"""

import timm

BATCH_SIZE = 32


def build_network(context):
    channels, height, width = context.input_shape
    options = dict(pretrained=context.pretrained, in_chans=channels, num_classes=context.num_classes)
    name = "hf-hub:{name}" if context.pretrained or not {known} else "{name}".partition("/")[2]
    try:  # networks with position embeddings are built for one size
        return timm.create_model(name, img_size=(height, width), **options)
    except TypeError:
        return timm.create_model(name, **options)
'''

HUB_OF_MAPS = (
    '''"""{name} of the Hugging Face hub: a network of segmentation_models_pytorch with all of its weights.

Input channels and classes follow the data set; layers that do not fit them start anew. Its configuration and weights are fetched
once and kept by huggingface_hub.
"""

import json
import warnings

import segmentation_models_pytorch as smp
import torch.nn.functional as F
from huggingface_hub import hf_hub_download
from torch import nn

BATCH_SIZE = 8
NAME = "{name}"
'''
    + ANY_SIZE
    + """

def build_network(context):
    with open(hf_hub_download(NAME, "config.json")) as file:
        config = json.load(file)
    if "_model_class" not in config:
        raise ValueError(NAME + " holds no whole network of segmentation_models_pytorch (an encoder alone is had by smp/unet/…)")
    make = getattr(smp, config["_model_class"])
    outputs = context.num_classes if context.task == "segmentation" else context.label_shape[0]
    options = {{key: value for key, value in config.items() if not key.startswith("_") and key != "aux_params"}}
    options |= dict(encoder_weights=None, activation=None, in_channels=context.input_shape[0], classes=outputs)
    if not context.pretrained:
        return AnySize(make(**options))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Mismatched keys")  # the last layer, where classes are others
        return AnySize(make.from_pretrained(NAME, strict=False, **options))
"""
)
