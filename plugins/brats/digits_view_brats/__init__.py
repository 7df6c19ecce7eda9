"""View plugin: segmentations over one modality of a brain scan."""

from digits_view_brats.view import Visualization

__all__ = ["Visualization"]
