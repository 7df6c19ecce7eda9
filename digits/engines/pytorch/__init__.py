"""The PyTorch engine. The files have the names of those of the other engine, so that the two can be read side by side."""
