"""The counting behind every number: training and evaluation use the same classes."""
