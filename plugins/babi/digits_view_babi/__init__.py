"""View plugin: answers to questions about stories."""

from digits_view_babi.view import Visualization

__all__ = ["Visualization"]
