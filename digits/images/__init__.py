"""Pictures: the one place that reads, resizes, crops, pads and draws over them."""
