"""Data plugin: pictures for generative adversarial networks, and vectors to generate from."""

from digits_data_gan.data import DataIngestion

__all__ = ["DataIngestion"]
