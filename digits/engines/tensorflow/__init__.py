"""The TensorFlow engine. The files have the names of those in `engines/pytorch`, so that the two can be read side by side."""
