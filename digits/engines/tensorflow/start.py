"""TensorFlow in this process: imported without its chatter, set up once for threads, GPU memory and repeatable results.

Other modules take `tf` and `keras` from here, so that whatever is imported first sets the environment.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from digits.engines.imports import hidden

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

NOISE = (b"absl::InitializeLog", b"oneDNN custom operations", b"optimized to use available CPU", b"rebuild TensorFlow with")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what native code writes to stderr meanwhile, and pass on what is not known noise."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not any(noise in line for noise in NOISE):
                    os.write(2, line)


with quiet(), hidden("sklearn"):
    import keras
    import tensorflow as tf

__all__ = ["keras", "start", "tf"]


def start(threads: int = 0, *, gpu: bool = False, repeatable: bool = False) -> None:
    """Set up what can only be set before the first operation; what is running already keeps its settings.

    GPU memory grows as needed; without `gpu` no GPU is touched. `repeatable` makes operations give the same bits each time.
    """
    _once(lambda: tf.config.threading.set_intra_op_parallelism_threads(threads))
    _once(lambda: tf.config.threading.set_inter_op_parallelism_threads(threads))
    devices = tf.config.list_physical_devices("GPU")
    if gpu:
        for device in devices:
            _once(lambda device=device: tf.config.experimental.set_memory_growth(device, True))
    elif devices:
        _once(lambda: tf.config.set_visible_devices([], "GPU"))
    if repeatable:
        tf.config.experimental.enable_op_determinism()
    with quiet():
        tf.zeros(1) + 1.0  # the first operation starts the runtime


def _once(work: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the runtime has started: an earlier call has set it
        work()
