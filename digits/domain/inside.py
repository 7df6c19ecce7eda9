"""What can be seen inside of a trained model: the methods that show why it answers so, what each shows and who described it."""

from __future__ import annotations

from dataclasses import dataclass

GRAD_CAM = "grad_cam"
HIRES_CAM = "hires_cam"
INTEGRATED_GRADIENTS = "integrated_gradients"
SALIENCY = "saliency"
ATTENTION_ROLLOUT = "attention_rollout"
OCCLUSION = "occlusion"

USUAL_METHODS = (GRAD_CAM, ATTENTION_ROLLOUT, INTEGRATED_GRADIENTS, OCCLUSION)
USUAL_OF_BOXES = (HIRES_CAM, *USUAL_METHODS)  # the mean over all places knows nothing of where one box lies
MAP_COLOURS = ("viridis", "cividis", "grey")  # of one direction; all three can be read by who confuses red and green
GRID = 10  # strides of an occlusion along each side
FINEST_GRID = 32
INPUT_LAYER = "data"  # what the network is given, as a row among its layers
WEIGHTS, ACTIVATIONS = "weights", "activations"
RANDOM_LIMIT = 0.5  # rank correlation with the map of random weights from which on a map says little of what was learnt


@dataclass(frozen=True)
class Method:
    """One method. `signed`: its map says what speaks for the answer (above 0) and what against (below 0); of others 0 says that a
    place counts for nothing, but of those whose places share what there is (`shared`)."""

    name: str
    title: str
    signed: bool
    about: str
    source: str
    of_class: bool = True  # whether the map is that of one class, box or number
    of_layer: bool = False  # whether it looks at one layer, which may be chosen
    shared: bool = False


METHODS = {
    row.name: row
    for row in (
        Method(
            GRAD_CAM,
            "Grad-CAM",
            False,
            "Where the maps of a late layer raise the score, each map weighed by the mean of its gradients.",
            "Selvaraju et al., 2017",
            of_layer=True,
        ),
        Method(
            HIRES_CAM,
            "HiResCAM",
            False,
            "As Grad-CAM, with each place of each map weighed by its own gradient.",
            "Draelos and Carin, 2020",
            of_layer=True,
        ),
        Method(
            INTEGRATED_GRADIENTS,
            "Integrated gradients",
            True,
            "What each pixel adds to the score on the way from a picture of zeros to this one; all pixels together give "
            "the whole difference.",
            "Sundararajan et al., 2017",
        ),
        Method(
            SALIENCY,
            "Gradient",
            False,
            "How strongly the score reacts to a small change of each pixel.",
            "Simonyan et al., 2014",
        ),
        Method(
            ATTENTION_ROLLOUT,
            "Attention rollout",
            False,
            "How much each patch reaches the answer through the attention of all blocks; the same for every class.",
            "Abnar and Zuidema, 2020",
            of_class=False,
            shared=True,
        ),
        Method(
            OCCLUSION,
            "Occlusion",
            True,
            "How far the answer falls where a part of the picture is covered by its mean colour; needs nothing of the "
            "network but its answers.",
            "Zeiler and Fergus, 2014",
        ),
    )
}
