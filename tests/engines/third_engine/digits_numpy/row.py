"""The row of the engine."""

from digits.frameworks import Framework
from digits.tasks import TASKS

ROW = Framework(
    name="numpy",
    title="NumPy",
    module="numpy",
    engine="digits_numpy.engine:NumpyEngine",
    snapshot_suffix=".npz",
    snapshot_metadata="digits_numpy.snapshot_file:metadata",
    weights=(".npz",),
    network_class="NumPy array of weights",
    imports=("digits_numpy",),
    networks="digits_numpy.networks",
    archive="digits_numpy.archive",
    install="pip install digits-numpy",
    packages=("digits-numpy",),
    solvers=("SGD",),
    precisions=("32-true",),
    augmentations=(),
    missing_tasks=tuple(task.name for task in TASKS if task.name != "classification"),
    multi_gpu=False,
)
