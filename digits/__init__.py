"""digits: manage image data sets, train deep networks, watch them live, test them and take them away."""

__version__ = "7.0.0"
