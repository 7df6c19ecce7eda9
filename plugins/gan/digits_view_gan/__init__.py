"""View plugin: grids, films, encodings and attributes of generated pictures."""

from digits_view_gan.view import Visualization

__all__ = ["Visualization"]
