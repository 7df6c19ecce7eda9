"""What the built-in views share: their templates, pictures as `data:` addresses, names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.domain.inference import main_output
from digits.utils.image import display_image, embed_image_html

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> str:
    """The text of one of the built-in views' templates."""
    return (TEMPLATES / f"{name}.html").read_text(encoding="utf-8")


def picture(array: NDArray[Any]) -> str:
    """A `data:` address of any picture (H, W) or (H, W, C), stretched to 8 bits where it is wider."""
    return embed_image_html(display_image(array))


def shown_output(outputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The network's main output, (K,), (K, H, W) or whatever it gives, without batch axis. Raises ValueError when there is
    none."""
    if not outputs:
        raise ValueError("the network has no output")
    return np.asarray(main_output(outputs))


def class_names(labels: Sequence[str], count: int) -> list[str]:
    """`count` names; numbers where the data set names fewer."""
    return [labels[i] if i < len(labels) else f"class {i}" for i in range(count)]
