"""Networks and encoders of the hub are loaded by the libraries' own code, from a folder such as the hub leaves on a machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from digits.engines.base import NetworkContext
from digits.engines.pytorch.build import build
from digits.networks import catalog
from digits.networks.library_texts import HUB_OF_MAPS

smp = pytest.importorskip("segmentation_models_pytorch", reason="segmentation_models_pytorch is not installed")
CONTEXT = NetworkContext("segmentation", (1, 40, 33), 2, (1, 40, 33), ("a", "b"))
ENCODER = "smp-hub/resnet18.imagenet"


def keep(cache: Path, repository: str, revision: str = "0123abc") -> Path:
    """The folder of a repository's files, in the cache."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(revision)
    (folder / "snapshots" / revision).mkdir(parents=True)
    return folder / "snapshots" / revision


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[torch.nn.Module]:
    """A network of three classes and colour, which the hub has, as it has its encoder."""
    from huggingface_hub import constants
    from segmentation_models_pytorch.encoders import encoders

    cache = tmp_path_factory.mktemp("hub")
    body = smp.Unet("resnet18", encoder_weights=None, classes=3, activation="softmax2d")
    body.save_pretrained(keep(cache, "me/cells"))
    revision = encoders["resnet18"]["pretrained_settings"]["imagenet"]["revision"]
    place = keep(cache, ENCODER, revision)
    fully = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    safetensors.torch.save_file(body.encoder.state_dict() | fully, place / "model.safetensors")
    for folder in (place, keep(cache, "me/encoder")):
        (folder / "config.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield body


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def test_a_whole_network_comes_with_its_weights_and_fits_the_data(known: torch.nn.Module) -> None:
    text = HUB_OF_MAPS.format(name="me/cells")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = build(text, replace(CONTEXT, pretrained=True, input_shape=(3, 40, 33)))
    assert (found.note, found.pretrained) == ("", True)
    own = {name.removeprefix("body."): value for name, value in found.module.state_dict().items()}
    other = [name for name, value in known.state_dict().items() if not same(own[name], value)]
    assert other == ["segmentation_head.0.weight", "segmentation_head.0.bias"], "two classes instead of three"
    scores = found.module(torch.zeros(2, 3, 40, 33))
    assert scores.shape == (2, 2, 40, 33)
    assert (scores.sum(dim=1) - 1).abs().max() > 1e-3, "scores, not the probabilities that it was published with"
    again = build(text, CONTEXT)
    assert (again.pretrained, again.module(torch.zeros(1, 1, 40, 33)).shape) == (False, (1, 2, 40, 33))


def test_what_is_no_network_or_not_there_is_said(known: torch.nn.Module) -> None:
    from digits.errors import NetworkError

    for name, said in (("me/encoder", "holds no whole network"), ("me/nothing", "cannot find the requested files")):
        with pytest.raises(NetworkError, match=said):
            build(HUB_OF_MAPS.format(name=name), replace(CONTEXT, pretrained=True))


def test_an_encoder_comes_with_its_published_weights(known: torch.nn.Module) -> None:
    text = catalog.network_text("smp/unet/resnet18", "pytorch")
    found = build(text, replace(CONTEXT, pretrained=True, input_shape=(3, 40, 33)))
    assert (found.note, found.pretrained) == ("", True)
    own = found.module.state_dict()
    assert all(torch.equal(own[f"body.encoder.{name}"], value) for name, value in known.encoder.state_dict().items())
    missing = build(catalog.network_text("smp/unet/resnet34", "pytorch"), replace(CONTEXT, pretrained=True))
    assert "cannot be had" in missing.note
