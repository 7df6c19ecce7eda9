"""Image classification: a folder with one sub-folder per class, or text files that list pictures and their classes."""

from digits.extensions.data.classification.folder import FolderIngestion
from digits.extensions.data.classification.textfile import TextFileIngestion

__all__ = ["FolderIngestion", "TextFileIngestion"]
