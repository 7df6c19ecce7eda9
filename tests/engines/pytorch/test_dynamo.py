"""The compiler of torch stays away from what compiles nothing, and is there for a text that compiles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from digits.testing.runs import make_dataset, striped_pictures

WITHOUT = """
import sys
from pathlib import Path
from digits.domain.events import MetricEvent
from digits.domain.training import TrainingSpec
from digits.engines.pytorch.dynamo import import_torchvision, without_dynamo
from digits.networks import catalog
from digits.testing.runs import train

def losses(name, text):
    spec = TrainingSpec("x", "classification", "pytorch", text, epochs=1, batch_size=8, seed=5)
    events = train(folder / "data", folder / name, spec)
    return [e.values["loss"] for e in events if isinstance(e, MetricEvent) and e.phase != "lr"]

folder, text = Path(sys.argv[1]), catalog.network_text("lenet")
plain = losses("plain", text)
import_torchvision()
from torchvision.ops.roi_align import is_compile_supported
with without_dynamo():
    import torch._dynamo
    torch._dynamo.graph_break()
    assert torch._dynamo.disable(len) is len
loaded = {"torch._dynamo", "torch._dynamo.utils", "sympy", "lightning_fabric", "torchmetrics"} & set(sys.modules)
assert not loaded and "_dynamo" not in vars(torch), loaded
"""
WITH = """
compiled = text.replace("def build_network", "def plain_network") + '''

def build_network(context):
    return torch.compile(plain_network(context), backend="eager")
'''
assert len(plain) > 2 and losses("compiled", compiled) == plain
from torch._dynamo.utils import counters, is_compile_supported as real
assert counters["frames"]["ok"] > 0, counters
assert real is not is_compile_supported and is_compile_supported("cpu") == real("cpu")
with without_dynamo():
    assert torch._dynamo is sys.modules["torch._dynamo"] and torch._dynamo.OptimizedModule
"""
NAMED = """
import sys, torch
from digits.engines.pytorch.dynamo import without_dynamo
with without_dynamo():
    import torch._dynamo
    assert torch._dynamo.config.__name__ == "torch._dynamo.config"
assert torch._dynamo is sys.modules["torch._dynamo"] and torch._dynamo.__spec__
"""


def run(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", program, *arguments], check=True)


def test_the_compiler_is_loaded_only_for_a_network_that_is_compiled_which_then_trains_the_same(tmp_path: Path) -> None:
    pictures, labels = striped_pictures(40, 28, seed=1)
    make_dataset(tmp_path / "data", pictures, labels, class_labels=("left", "right"))
    run(WITHOUT + WITH, str(tmp_path))


def test_a_name_that_has_no_stand_in_loads_the_compiler() -> None:
    run(NAMED)
