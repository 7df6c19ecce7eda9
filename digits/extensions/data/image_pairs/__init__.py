"""Pairs of pictures, of one class or of two, made from a folder for each class: what siamese networks learn from."""

from digits.extensions.data.image_pairs.data import DataIngestion

__all__ = ["DataIngestion"]
