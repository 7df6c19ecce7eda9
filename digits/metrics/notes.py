"""What is to be said of every metric beside the facts of the registry: formula, source, ties, empty cases, reference library.

`docs/metrics.md` is made from both. `empty` says what comes of nothing to measure, `ties` how equal scores count.
"""

from __future__ import annotations

from dataclasses import dataclass

SKLEARN, COCO, TORCH = "scikit-learn", "pycocotools", "torchmetrics"


@dataclass(frozen=True)
class Note:
    formula: str
    source: str
    compared: str
    empty: str = "no value where nothing was measured"
    ties: str = ""


_BEHIND = "a class that shares its score with others comes behind them all: equal scores for all classes are never right"
_LABEL_TIES = "equal scores count together, whatever their order"
_BOX_TIES = "detections of equal score rank in an order that is the same however the pictures come"
_ABSENT = "a class neither in the labels nor in the prediction has no value and does not count in the mean"
_NO_OBJECT = "a class without an object that counts has no value; 0 where none of its objects is found"
_VOID = "pixels of the ignored value count nowhere; a pixel whose scores are no numbers is wrong"
_COCO_SOURCE = "Lin 2014 (COCO), by faster-coco-eval"
_SKLEARN_F1 = "scikit-learn `f1_score`"

NOTES: dict[str, Note] = {
    "loss": Note(
        "sum over the items / sum of their weights; an evaluation of classes has Σ −ln p(true class) / pictures, without class "
        "weights, of the logarithms themselves, so that no probability is too small",
        "the loss of the training (see Networks); an evaluation: log loss",
        f"bare loops of torch and Keras; SciPy `log_softmax`, {SKLEARN} `log_loss`",
    ),
    "accuracy": Note(
        "pictures whose true class has the highest score / pictures", "top-1", f"{SKLEARN} `accuracy_score`", ties=_BEHIND
    ),
    "accuracy_top5": Note(
        "pictures whose true class is among the five highest scores / pictures",
        "top-k, Russakovsky 2015",
        f"{SKLEARN} `top_k_accuracy_score`",
        "left out of five classes or fewer, where any answer would be right",
        _BEHIND,
    ),
    "mean_dice": Note("mean of `dice/<label>`", "Dice 1945", _SKLEARN_F1, _ABSENT),
    "mean_dice_pictures": Note("mean of `dice_pictures/<label>`", "Dice 1945", _SKLEARN_F1, _ABSENT),
    "mean_iou": Note("mean of `iou/<label>`", "Jaccard 1912, Everingham 2010", f"{SKLEARN} `jaccard_score`", _ABSENT),
    "mean_iou_pictures": Note(
        "mean over the classes of the mean IoU over pictures", "Jaccard 1912", f"{SKLEARN} `jaccard_score`", _ABSENT
    ),
    "pixel_accuracy": Note("right pixels / labelled pixels", "Long 2015", f"{SKLEARN} `accuracy_score`", _VOID),
    "psnr": Note(
        "10 · log₁₀(peak² / mean squared error) of a picture, peak the full scale of the type (1 of decimals); at most 120",
        "peak signal-to-noise ratio",
        f"{TORCH} `peak_signal_noise_ratio`",
    ),
    "ssim": Note(
        "mean of the map of similarities: Gaussian window 11×11, σ 1.5, K₁ 0.01, K₂ 0.03, borders reflected",
        "Wang 2004",
        f"{TORCH} `structural_similarity_index_measure`",
        "pictures with a side of under 6 pixels have none",
    ),
    "mae": Note("Σ |answer − label| / numbers", "mean absolute error", f"{SKLEARN} `mean_absolute_error`"),
    "rmse": Note(
        "√(Σ (answer − label)² / numbers), the root taken once over all columns",
        "root mean square error",
        f"{SKLEARN} `root_mean_squared_error`",
    ),
    "r2": Note(
        "1 − Σ (answer − label)² / Σ (label − mean of its column)², of each column; then the mean over the columns. Columns of "
        "pictures and other arrays (C, …) are their channels. Always the mean of the training labels has 0 on the training split",
        "coefficient of determination",
        f"{SKLEARN} `r2_score`, uniform average",
        f"fewer than two labels: no value; a column of equal labels: 1 where every answer is right, else 0 (as {SKLEARN} has it)",
    ),
    "map": Note("mean of `ap/<label>`", _COCO_SOURCE, f"{COCO}, {TORCH}", _NO_OBJECT, _BOX_TIES),
    "map50": Note("mean of `ap50/<label>`", _COCO_SOURCE, f"{COCO}, {TORCH}", _NO_OBJECT, _BOX_TIES),
    "map75": Note("mean over the classes of the AP at IoU .75", _COCO_SOURCE, f"{COCO}, {TORCH}", _NO_OBJECT, _BOX_TIES),
    "mean_ap": Note(
        "mean of `label_ap/<label>`",
        "macro average",
        f"{SKLEARN} `average_precision_score`",
        "a label that no picture has does not count",
        _LABEL_TIES,
    ),
    "f1_macro": Note(
        "mean of `f1/<label>`", "macro average", _SKLEARN_F1, "a label that is nowhere and was found nowhere does not count"
    ),
    "f1_micro": Note("2 · hits / (found + true), summed over all labels", "micro average", _SKLEARN_F1),
    "precision": Note(
        "right / found, of boxes with at least the score threshold, matched at IoU .5, each object once, the best box first; of "
        "a class of a classification: right / predicted",
        "Everingham 2010",
        f"{COCO}'s matches; {SKLEARN} `precision_recall_fscore_support`",
        "no value where nothing was found",
        "boxes of equal score in the order in which the network gives them",
    ),
    "recall": Note(
        "objects found / objects, matched as for precision",
        "Everingham 2010",
        f"{COCO}'s matches",
        "no value without an object that counts",
    ),
    "dice": Note("2 · right / (labelled + predicted) pixels of the class", "Dice 1945", _SKLEARN_F1, f"{_ABSENT}; {_VOID}"),
    "dice_pictures": Note("the same of each picture, then the mean", "Dice 1945", _SKLEARN_F1, f"{_ABSENT}; {_VOID}"),
    "iou": Note(
        "right / (labelled + predicted − right) pixels of the class",
        "Jaccard 1912",
        f"{SKLEARN} `jaccard_score`",
        f"{_ABSENT}; {_VOID}",
    ),
    "label_ap": Note(
        "Σ (recallₙ − recallₙ₋₁) · precisionₙ over the scores from high to low",
        "average precision without interpolation",
        f"{SKLEARN} `average_precision_score`",
        "no value where no picture has the label",
        _LABEL_TIES,
    ),
    "f1": Note(
        "2 · hits / (found + true) of the label at its threshold; of a class of a classification: of the most probable class",
        "van Rijsbergen 1979",
        _SKLEARN_F1,
        "no value where the label is nowhere and was found nowhere; of a classification where no picture is of the class",
        "a score equal to the threshold counts",
    ),
    "threshold": Note(
        "given, or the threshold with the best F1 on the validation split, midway between two scores",
        "",
        f"{SKLEARN}: no other threshold has a better `f1_score`",
        "0.5 where no picture has the label",
    ),
    "ap": Note(
        "mean over IoU .5, .55, … .95 of the mean precision at 101 recalls",
        _COCO_SOURCE,
        f"{COCO}, {TORCH}",
        _NO_OBJECT,
        _BOX_TIES,
    ),
    "ap50": Note("mean precision at 101 recalls, at IoU .5", _COCO_SOURCE, f"{COCO}, {TORCH}", _NO_OBJECT, _BOX_TIES),
}
