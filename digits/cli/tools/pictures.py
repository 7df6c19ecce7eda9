"""`digits tools resize_image`: one picture, resized as a data set does it."""

from __future__ import annotations

from pathlib import Path

import click

from digits.utils.image import load_image
from digits.utils.image import resize_image as resized
from digits.utils.resizing import RESIZE_MODES


@click.command("resize_image")
@click.argument("image")
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("width", type=click.IntRange(1))
@click.argument("height", type=click.IntRange(1))
@click.option("-c", "--channels", type=click.Choice(["1", "3"]), help="1 grey, 3 colour. [default: as in the picture]")
@click.option("-m", "--mode", type=click.Choice(list(RESIZE_MODES)), default="squash", show_default=True)
def resize_image(image: str, output: Path, width: int, height: int, channels: str | None, mode: str) -> None:
    """Write IMAGE (a path or an address) to OUTPUT with WIDTH and HEIGHT."""
    from PIL import Image

    array = resized(load_image(image), height, width, int(channels) if channels else None, mode)
    try:
        Image.fromarray(array).save(output)
    except ValueError as error:
        raise click.BadParameter(f"{output.name} has no ending of a picture ({error}).", param_hint="OUTPUT") from error
