"""The worker of an evaluation."""
