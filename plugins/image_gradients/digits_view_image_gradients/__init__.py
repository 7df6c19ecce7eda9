"""View plugin: a gradient as an arrow."""

from digits_view_image_gradients.view import Visualization

__all__ = ["Visualization"]
