"""The form of a new model: every field under the name scripts know, with its check, its default and its sentence of help.

The defaults here are those of the original, for clients that leave a field out; the page pre-fills sounder ones for the
chosen network (`page_values`).
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from digits.domain.training import AVERAGED, LR_POLICIES, SOLVERS, SYNCHRONISED, Augmentation, LearningRate, Solver, TaskOptions
from digits.engines.network.losses import LOSSES
from digits.service.forms import FormModel, option
from digits.tasks import get

FOREIGN_FRAMEWORKS = ("torch", "caffe")
METHODS = {
    "standard": "Standard networks",
    "previous": "Previous networks",
    "pretrained": "Pretrained networks",
    "custom": "Custom network",
}
BATCH_NORMS = {SYNCHRONISED: "Over all processes", AVERAGED: "Each process its own, averaged"}
LR_PARAMETERS = {name: tuple(f"lr_{one}" for one in policy.parameters) for name, policy in LR_POLICIES.items()}
LR_DEFAULTS = {one: value for policy in LR_POLICIES.values() for one, value in policy.parameters.items()}
OUTSIDE = "What comes in from outside repeats the edge, in masks too; it is black where boxes are the labels."
MAX_TEXT = 1_000_000
MAX_NAME = 500
MAX_PROCESSES = 64

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
Batch = Annotated[int, Field(ge=1, le=1_000_000)]
Threshold = Annotated[float, Field(gt=0, lt=1)]


def _several(rates: list[float]) -> list[float]:
    """A rate of 0 measures the weights that a training starts from; among several it is a decimal comma."""
    if len(rates) > 1 and 0 in rates:
        raise ValueError("0 is not allowed among several: a rate must be more than 0.")
    return rates


Rates = Annotated[list[Rate], AfterValidator(_several)]


class LearningRateForm(FormModel):
    """The fields that shape the learning rate; also what `visualize-lr` reads."""

    learning_rate: Rates = option(
        [0.01],
        "Learning rate",
        "Base rate; with 0 the weights stay as they are. Several values, as in 0.1, 0.01, make one model each.",
    )
    lr_policy: str = option(
        "step",
        "Policy",
        "How the rate changes from the start (0 %) to the end (100 %) of the training.",
        choices={name: policy.title for name, policy in LR_POLICIES.items()},
        advanced=True,
    )
    lr_step_size: float = option(
        LR_DEFAULTS["step_size"], "Step size (%)", "The rate drops each time so much is done.", gt=0, le=100, advanced=True
    )
    lr_step_gamma: float = option(
        LR_DEFAULTS["step_gamma"], "Factor", "The rate is multiplied by this at each step.", ge=0, advanced=True
    )
    lr_multistep_values: list[Percent] = option(
        list(LR_DEFAULTS["multistep_values"]), "Steps at (%)", "The rate drops at these points.", advanced=True
    )
    lr_multistep_gamma: float = option(
        LR_DEFAULTS["multistep_gamma"], "Factor", "The rate is multiplied by this at each point.", ge=0, advanced=True
    )
    lr_exp_gamma: float = option(
        LR_DEFAULTS["exp_gamma"], "Factor", "The rate is multiplied by this at each percent.", ge=0, advanced=True
    )
    lr_inv_gamma: float = option(
        LR_DEFAULTS["inv_gamma"], "Gamma", "Rate = base x (1 + gamma x percent) ^ -power.", ge=0, advanced=True
    )
    lr_inv_power: float = option(LR_DEFAULTS["inv_power"], "Power", "See gamma.", ge=0, advanced=True)
    lr_poly_power: float = option(
        LR_DEFAULTS["poly_power"], "Power", "Rate = base x (1 - percent / 100) ^ power.", ge=0, advanced=True
    )
    lr_sigmoid_step: float = option(
        LR_DEFAULTS["sigmoid_step"], "Middle (%)", "Where half of the base rate is reached.", ge=0, le=100, advanced=True
    )
    lr_sigmoid_gamma: float = option(
        LR_DEFAULTS["sigmoid_gamma"], "Steepness", "How fast the rate falls around the middle.", advanced=True
    )
    lr_warmup: float = option(
        0.0, "Warm-up (%)", "The rate rises from near 0 in this part of the training.", ge=0, le=100, advanced=True
    )

    def schedule(self, base: float) -> LearningRate:
        """The policy for one base rate; the parameters lose the `lr_` of their field's name."""
        names = LR_PARAMETERS[self.lr_policy]
        parameters = {name.removeprefix("lr_"): getattr(self, name) for name in names}
        return LearningRate(base, self.lr_policy, parameters, self.lr_warmup)


class SolverForm(LearningRateForm):
    """How long and with which optimizer to train."""

    train_epochs: int = option(30, "Epochs", "How often every training picture is seen.", ge=1, le=1_000_000)
    batch_size: list[Batch] | None = option(
        None, "Batch size", "Pictures in one step; blank: the network's own. Several values make one model each."
    )
    batch_accumulation: int | None = option(
        None,
        "Accumulate batches",
        "Gradients of so many batches are summed before each step of the optimizer: a larger batch without more memory.",
        ge=1,
        le=100_000,
        advanced=True,
    )
    solver_type: str = option(
        "SGD", "Solver", "The optimizer.", choices={name: solver.title for name, solver in SOLVERS.items()}, advanced=True
    )
    momentum: float | None = option(None, "Momentum", "Blank: 0.9 where the solver has momentum.", ge=0, lt=1, advanced=True)
    weight_decay: float | None = option(
        None, "Weight decay", "Pulls weights towards zero. Blank: the solver's default.", ge=0, allow_inf_nan=False, advanced=True
    )
    rms_decay: float = option(0.99, "RMS decay", "Memory of RMSprop's mean square.", ge=0, lt=1, advanced=True)
    val_interval: float = option(
        1.0,
        "Validate every (epochs)",
        "Fractions validate several times an epoch; 0 never.",
        ge=0,
        allow_inf_nan=False,
        advanced=True,
    )
    snapshot_interval: float = option(
        1.0,
        "Snapshot every (epochs)",
        "Fractions keep several an epoch; 0 only the last and the best.",
        ge=0,
        allow_inf_nan=False,
        advanced=True,
    )
    keep_snapshots: int = option(
        0, "Snapshots to keep", "Older ones are deleted; 0 keeps all. The best and the last always stay.", ge=0, advanced=True
    )
    best_metric: str = option(
        "",
        "Best by",
        "Validation output that decides which snapshot is best; blank: the task's own. One of the network text's own must be "
        "declared in its METRICS.",
        max_length=120,
        advanced=True,
    )
    random_seed: int | None = option(
        None,
        "Random seed",
        "The same seed gives the same training. Blank: one is drawn and kept.",
        ge=0,
        le=2**32 - 1,
        advanced=True,
    )
    shuffle: bool = option(True, "Shuffle", "Draw the training pictures in a new order each epoch.", advanced=True, unsent=True)
    traces_interval: int = option(
        0,
        "Trace every (steps)",
        "Every so many steps one is recorded: its timeline, and where its time goes; 0: none. A recorded step takes longer.",
        ge=0,
        le=1_000_000_000,
        advanced=True,
    )

    def solver(self) -> Solver:
        return Solver(self.solver_type, self.momentum, self.weight_decay, self.rms_decay)


class TransformForm(FormModel):
    """What happens to a picture on its way into the network."""

    crop_size: int | None = option(
        None, "Crop size", "Side of a square cut out at random in training and from the centre otherwise.", ge=1, advanced=True
    )
    use_mean: str = option(
        "image",
        "Subtract mean",
        "The mean of the training pictures is taken off each picture.",
        choices={"none": "None", "image": "Mean image", "pixel": "Mean pixel"},
        advanced=True,
    )
    aug_flip: str = option(
        "none",
        "Flip",
        "Mirror at random.",
        choices={"none": "None", "fliplr": "Left and right", "flipud": "Up and down", "fliplrud": "Both ways"},
        advanced=True,
    )
    aug_quad_rot: str = option(
        "none",
        "Quarter turns",
        "Turn by a multiple of 90 degrees at random.",
        choices={"none": "None", "rot90": "0, 90 or 270 degrees", "rot180": "0 or 180 degrees", "rotall": "Any quarter"},
        advanced=True,
    )
    aug_rot: float = option(0.0, "Rotate (± degrees)", f"By a random angle up to this. {OUTSIDE}", ge=0, le=180, advanced=True)
    aug_scale: float = option(0.0, "Scale (std)", f"Random zoom; 0.07 is a fair start. {OUTSIDE}", ge=0, le=1, advanced=True)
    aug_shift: float = option(
        0.0, "Shift (± part)", f"Moves across and down by up to this part of the sides. {OUTSIDE}", ge=0, le=0.5, advanced=True
    )
    aug_noise: float = option(
        0.0, "Noise (std)", "Random noise, a share of full intensity; 0.03 is a fair start.", ge=0, le=1, advanced=True
    )
    aug_contrast: float = option(0.0, "Contrast (std)", "Random contrast; 0.8 is a fair start.", ge=0, le=5, advanced=True)
    aug_whitening: bool = option(False, "Standardise each picture", "To mean 0 and deviation 1.", advanced=True)
    aug_hsv_use: bool = option(
        False, "Shift colours", "Hue, saturation and value at random, of pictures of three channels.", advanced=True
    )
    aug_hsv_h: float = option(0.02, "Hue (std)", ge=0, le=0.5, advanced=True)
    aug_hsv_s: float = option(0.04, "Saturation (std)", ge=0, le=0.5, advanced=True)
    aug_hsv_v: float = option(0.06, "Value (std)", ge=0, le=0.5, advanced=True)

    def augmentation(self) -> Augmentation:
        values = self.model_dump()
        return Augmentation(**{k.removeprefix("aug_"): v for k, v in values.items() if k.startswith("aug_")})


class LossForm(FormModel):
    """What is minimised, and what counts as found."""

    loss: str = option(
        "",
        "Loss",
        "What the training makes small; blank: the network's own, else the one usual for the task.",
        choices={"": "Usual for the task", **LOSSES},
        advanced=True,
    )
    class_weights: str = option(
        "",
        "Class weights",
        "Rare classes count more, common ones less, within 10 and 0.1. By the root: less strongly, usually better for IoU.",
        choices={"": "All alike", "frequency": "By frequency", "root": "By the root of the frequency"},
        advanced=True,
    )
    score_threshold: float = option(
        0.5, "Score threshold", "Boxes of at least this score count for precision and recall.", gt=0, lt=1, advanced=True
    )
    label_thresholds: list[Threshold] | None = option(
        None,
        "Label thresholds",
        "The score from which on a label counts: one number for all labels, or one for each in their order, as in 0.5, 0.3. "
        "Blank: those with the best F1 on the validation pictures.",
        advanced=True,
    )

    def options(self, task: str) -> TaskOptions:
        """Settings of one task."""
        own = {name: getattr(self, name) for name in get(task).options}
        return TaskOptions.from_json({"class_weights": self.class_weights, **own})


class NetworkForm(FormModel):
    """Which network, and where its first weights come from."""

    method: str = option("standard", "Network", "Where the network comes from.", choices=METHODS, widget="hidden")
    framework: str = option("", "Framework", "Which engine trains; blank: pytorch.", widget="hidden", max_length=40)
    standard_networks: str = option(
        "alexnet", "Standard network", "A name of the list, e.g. lenet or timm/resnet18.", widget="hidden", max_length=200
    )
    use_pretrained_weights: bool = option(
        False,
        "Start from published weights",
        "Where the library can get them; otherwise the weights are random and the page says so.",
    )
    previous_networks: str = option("", "Previous network", "A model of yours.", widget="hidden", max_length=40)
    pretrained_networks: str = option(
        "",
        "Pretrained network",
        "A network of the list with its published weights, or a model of yours: its network with its best weights.",
        widget="hidden",
        max_length=200,
    )
    custom_network: str = option("", "Network text", "Python with build_network(context).", widget="code", max_length=MAX_TEXT)
    custom_network_snapshot: str = option(
        "",
        "Weights to start from",
        f"A snapshot or another file of weights on the server, or several with {os.pathsep} between them, each over those before "
        "it; blank: random weights.",
        widget="path",
        several=True,
    )
    python_layer_from_client: bool = option(
        False, "Python layer from client", "Which of the two Python layer files is meant, where both are given.", widget="hidden"
    )
    python_layer_client_file: str = option("", "Python layer file", "A Python layer file that is sent along.", widget="hidden")
    python_layer_server_file: str = option(
        "",
        "Python layer file",
        "A .py file with layers of your own, which the network text imports from digits_python_layers. It goes with the model.",
        widget="path",
    )


class DeviceForm(FormModel):
    """Where to compute."""

    select_gpu: str = option("next", "GPU", "next (any free one), cpu, or the number of one.", advanced=True)
    select_gpus: list[str] | None = option(None, "GPUs", "Exactly these.", advanced=True)
    select_gpus_list: list[str] | None = option(None, "GPUs", "Exactly these, as in 0,1.", advanced=True)
    select_gpu_count: int | None = option(None, "Number of GPUs", "Any so many free ones; 0: the CPU.", ge=0, advanced=True)
    cpu_count: int | None = option(
        None, "CPU cores", "For training on the CPU; blank: all that jobs may use.", ge=1, advanced=True
    )
    cpu_processes: int | None = option(
        None,
        "CPU processes",
        "So many processes share each batch of a training on the CPU, and the cores between them; the numbers are those of one. "
        "Blank: what the server's setting says, usually 1.",
        ge=1,
        le=MAX_PROCESSES,
        advanced=True,
    )
    batch_norm: str = option(
        SYNCHRONISED,
        "Batch normalisation",
        "With several GPUs or processes: over the whole batch, as one has it, or faster, each over its own share of it.",
        choices=BATCH_NORMS,
        advanced=True,
    )
    precision: str = option(
        "32-true",
        "Precision",
        "Mixed precision is faster on newer GPUs.",
        choices={"32-true": "32 bit", "16-mixed": "16 bit mixed", "bf16-mixed": "bfloat16 mixed"},
        advanced=True,
    )


class ModelForm(NetworkForm, SolverForm, LossForm, TransformForm, DeviceForm):
    """The whole form."""

    model_name: str = option(..., "Model name", min_length=1, max_length=MAX_NAME)
    group_name: str = option("", "Group name", "Models of one group are listed together.", max_length=MAX_NAME)
    dataset: str = option(..., "Data set", "What the network learns from.", min_length=1, max_length=40)


def form_values(form: ModelForm) -> dict[str, Any]:
    """What is kept to clone the model: every field as JSON types."""
    return form.model_dump(mode="json", exclude={"python_layer_client_file"})
