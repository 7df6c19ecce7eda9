"""What a step of a training spends its time on, in words: the parts that execution traces tell apart."""

from __future__ import annotations

DATA, FORWARD, BACKWARD, OPTIMIZER, REST = "data", "forward", "backward", "optimizer", "rest"
COMPUTE = "compute"  # forward, backward and optimizer of an engine that cannot tell them apart without a trace
VALIDATION = "validation"  # between steps
WORDS = {  # where several are at work at a time, it counts for the first
    OPTIMIZER: "the optimizer",
    BACKWARD: "the backward pass",
    FORWARD: "the forward pass",
    DATA: "waiting for pictures",
    REST: "everything else",
}
