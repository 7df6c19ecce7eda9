"""View plugin: classes of a text, ranked."""

from digitsViewPluginTextClassification.view import Visualization

__all__ = ["Visualization"]
