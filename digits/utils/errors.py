"""Errors that plugins know by these names."""

from __future__ import annotations

from digits.errors import DigitsError, LoadImageError


class DeleteError(DigitsError):
    """Something cannot be deleted, mostly because something else needs it."""


class UnsupportedPlatformError(DigitsError):
    """This machine lacks what the action needs."""


__all__ = ["DeleteError", "DigitsError", "LoadImageError", "UnsupportedPlatformError"]
