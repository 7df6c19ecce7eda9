"""The training that all engines share: the loop, its calendar, learning rate, batches, checkpoints and snapshots."""
