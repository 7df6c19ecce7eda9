"""View plugin: a gradient as an arrow."""

from digitsViewPluginImageGradients.view import Visualization

__all__ = ["Visualization"]
