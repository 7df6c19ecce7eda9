"""The PyTorch engine. The files have the names of those in `engines/tensorflow`, so that the two can be read side by side."""
