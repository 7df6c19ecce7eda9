"""View plugin: classes of a text, ranked."""

from digits_view_text_classification.view import Visualization

__all__ = ["Visualization"]
