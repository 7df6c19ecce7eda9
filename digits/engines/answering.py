"""A model that answers in another way than by one look at the picture: in tiles, and by the mean over turned pictures.

Both wrap what predicts, whatever the engine, and are told apart by what the task's outputs are: what lies over the picture is
turned back and blended, boxes are turned back and merged, scores of classes are averaged. Numbers of other tasks may mean places
in the picture, of which nobody knows how they turn: they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from digits.domain.inference import HFLIP, SCALES, TURNS, VFLIP, Answering, main_output
from digits.engines.base import scores_of
from digits.engines.merging import across_seams, cut_by, fused
from digits.engines.training.boxes import stacked
from digits.errors import BadRequest, DataError
from digits.images.tiling import Blend, Grid, Tile
from digits.images.turns import Turn, all_turns
from digits.tasks import Labels, Task, of
from digits.tasks.base import BOXES, CLASSES
from digits.utils.resizing import centre_part, centre_start

MOST_TILES = 10_000  # of one picture
MOST_VALUES = 2**28  # numbers of an answer of the picture's size: 1 GiB
BATCH_BYTES = 2**25  # of float32 input that goes through the network at once
LARGEST_BATCH = 64
OTHER_SIZES = (0.75, 1.25)
TILES = "tiles"  # the output beside the mean of classes: what each tile answered

Outputs = dict[str, np.ndarray]


class Answers(Protocol):
    """What predicts; see `digits.engines.base.Predictor`."""

    @property
    def meta(self) -> Mapping[str, Any]: ...

    def predict(self, batch: np.ndarray) -> Outputs:
        """As `Predictor.predict`: outputs (N, …) for features (N, C, H, W)."""


def answering(model: Answers, how: Answering) -> Answers:
    """The model, made to answer so. BadRequest where its task, or its network, does not allow it."""
    tiled = model if how.tile_overlap is None else Tiled(model, how.tile_overlap)
    return Turned(tiled, how.tta) if how.tta else tiled


def scores(model: Answers, batch: np.ndarray) -> np.ndarray:
    """The main output for features (N, C, H, W), as metrics take it (see `Predictor.scores`)."""
    return scores_of(model.predict(batch), model.meta)


class Tiled:
    """Gives pictures that are larger than the network's input to it in tiles of that size. It answers for the whole picture:
    probabilities or pictures (N, K, H, W) blended, boxes merged; of classes the mean over the tiles, of labels that a picture has
    several of the highest, and beside it `tiles` (N, K, rows, columns), the answer of each."""

    def __init__(self, model: Answers, overlap: float) -> None:
        self._model = model
        self._overlap = overlap
        self._labels = Labels.of_snapshot(model.meta)
        self._task = _allowed(model.meta, "Tiles")

    @property
    def meta(self) -> Mapping[str, Any]:
        return self._model.meta

    def predict(self, batch: np.ndarray) -> Outputs:
        """As `Predictor.predict`, of pictures (N, C, H, W) of one size."""
        tile = tile_of(self.meta, batch.shape)
        size = (batch.shape[2], batch.shape[3])
        if any(part > side for part, side in zip(tile, size, strict=True)):
            return self._model.predict(batch)
        grid = Grid.of(size, tile, self._overlap)
        _check(grid)
        return _joined([self._of_one(picture, grid) for picture in batch])

    def _of_one(self, picture: np.ndarray, grid: Grid) -> Outputs:
        """Of a picture (C, H, W), without batch axis."""
        tiles, found = list(grid), _Collected(grid, self._task, self._task.activation(self._labels) == "sigmoid")
        together = int(np.clip(BATCH_BYTES // (4 * picture.shape[0] * grid.rows.tile * grid.columns.tile), 1, LARGEST_BATCH))
        for start in range(0, len(tiles), together):
            some = tiles[start : start + together]
            outputs = self._model.predict(np.stack([grid.part(picture, tile) for tile in some]))
            for place, tile in enumerate(some):
                found.add(tile, {name: values[place] for name, values in outputs.items()})
        return found.whole()


class _Collected:
    """What came of the tiles of one picture."""

    def __init__(self, grid: Grid, task: Task, several: bool) -> None:
        self._grid, self._kind, self._several = grid, task.output_kind, several
        self._blends: dict[str, Blend] = {}
        self._boxes: list[np.ndarray] = []
        self._cut: list[np.ndarray] = []
        self._scores: dict[str, list[np.ndarray]] = {}

    def add(self, tile: Tile, outputs: Mapping[str, np.ndarray]) -> None:
        """Outputs of a tile without batch axis."""
        main = main_output({name: name for name in outputs})
        if self._kind == BOXES:
            rows = np.asarray(outputs[main])
            area = (0, 0, self._grid.columns.tile, self._grid.rows.tile)
            self._cut.append(cut_by(rows, area, self._grid.seams(tile)))
            corner = np.array([tile.left, tile.top] * 2, np.float32)
            self._boxes.append(np.concatenate([np.where(rows[:, 4:5] > 0, rows[:, :4] + corner, 0), rows[:, 4:]], axis=1))
        elif self._kind == CLASSES:
            for name, values in outputs.items():
                self._scores.setdefault(name, []).append(np.asarray(values))
        else:
            self._blend(tile, outputs, main)

    def _blend(self, tile: Tile, outputs: Mapping[str, np.ndarray], main: str) -> None:
        size = (self._grid.rows.tile, self._grid.columns.tile)
        over = {name: values for name, values in outputs.items() if values.ndim == 3 and values.shape[1:] == size}
        if main not in over:
            shape = "×".join(map(str, outputs[main].shape))
            raise DataError(
                f"The network answers a tile of {size[1]}×{size[0]} pixels with {shape} numbers, which do not lie over it.",
                advice="Answer without tiling.",
            )
        for name, values in over.items():
            if name not in self._blends:
                _check_size(len(values), self._grid)
            self._blends.setdefault(name, Blend(self._grid)).add(tile, values)

    def whole(self) -> Outputs:
        """Of the picture, without batch axis."""
        if self._kind == BOXES:
            return {"boxes": across_seams(np.concatenate(self._boxes), np.concatenate(self._cut)).astype(np.float32)}
        if self._kind == CLASSES:
            tiles = {name: np.stack(values) for name, values in self._scores.items()}  # (tiles, K)
            found = {name: values.max(axis=0) if self._several else values.mean(axis=0) for name, values in tiles.items()}
            of_main = main_output(tiles)
            shape = (len(self._grid.rows.starts), len(self._grid.columns.starts))
            map_of = of_main.reshape(*shape, -1).transpose(2, 0, 1)
            return {**found, TILES: map_of} if shape != (1, 1) else found
        return {name: blend.whole() for name, blend in self._blends.items()}


class Turned:
    """Answers with the mean over pictures as they are and turned, mirrored or scaled, all turned back: test-time augmentation."""

    def __init__(self, model: Answers, tta: Sequence[str]) -> None:
        self._model = model
        self._task = _allowed(model.meta, "Test-time augmentation")
        self._any_size = isinstance(model, Tiled) or takes_any_size(model.meta)
        self._turns = all_turns(horizontal=HFLIP in tta, vertical=VFLIP in tta, quarters=TURNS in tta)
        if SCALES in tta:
            if not self._any_size:
                raise BadRequest(
                    "The network takes pictures of one size only, so they cannot be scaled.", advice="Leave scales out, or tile."
                )
            self._turns += [Turn(one.quarters, one.mirrored, scale) for scale in OTHER_SIZES for one in self._turns]

    @property
    def meta(self) -> Mapping[str, Any]:
        return self._model.meta

    def predict(self, batch: np.ndarray) -> Outputs:
        """As `Predictor.predict`."""
        return self.both(batch)[0]

    def both(self, batch: np.ndarray) -> tuple[Outputs, Outputs]:
        """As `Predictor.predict`: the mean, and what the pictures (N, C, H, W) as they are were answered."""
        seen, corner = (batch, (0, 0)) if isinstance(self._model, Tiled) else middle(batch, self.meta)
        size = (seen.shape[2], seen.shape[3])
        turns = [turn for turn in self._turns if self._fits(turn, seen)]
        plain = self._model.predict(seen)
        main = main_output({name: name for name in plain})
        if self._task.output_kind == BOXES:
            rows = [plain[main], *(main_output(self._model.predict(np.ascontiguousarray(turn.of(seen)))) for turn in turns[1:])]
            both = self._boxes(turns, rows, size, corner)
            return {**plain, main: both[0]}, {**plain, main: both[1]}
        total = self._undone(turns[0], plain, main, size)
        for turn in turns[1:]:
            found = self._undone(turn, self._model.predict(np.ascontiguousarray(turn.of(seen))), main, size)
            total = {name: total[name] + found[name] for name in total if name in found}
        means = {name: values / np.float32(len(turns)) for name, values in total.items()}
        return {**plain, **means}, plain

    def _boxes(
        self, turns: Sequence[Turn], rows: Sequence[np.ndarray], size: tuple[int, int], corner: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, M, 6) of all views fused, and those of the first alone, in pixels of the given pictures."""
        offset = np.array([corner[1], corner[0]] * 2, np.float32)
        views = [
            [turn.undone_boxes(one[~(one[:, 4] <= 0)], size) for one in found] for turn, found in zip(turns, rows, strict=True)
        ]
        merged = [fused(of_picture) for of_picture in zip(*views, strict=True)]
        for boxes in (*merged, *views[0]):
            boxes[:, :4] += offset
        return stacked(merged), stacked(views[0])

    def _undone(self, turn: Turn, outputs: Outputs, main: str, size: tuple[int, int]) -> Outputs:
        """What can be averaged of outputs for turned pictures, turned back."""
        if self._task.output_kind == CLASSES:
            return {name: values for name, values in outputs.items() if name != TILES}
        seen = turn.size(*size)
        over = {name: values for name, values in outputs.items() if values.ndim == 4 and values.shape[2:] == seen}
        if main not in over:
            shape = "×".join(map(str, outputs[main].shape[1:]))
            raise DataError(
                f"The network answers pictures of {seen[1]}×{seen[0]} pixels with {shape} numbers, which do not lie over them.",
                advice="Answer without test-time augmentation.",
            )
        return {name: turn.undone(values, size) for name, values in over.items()}

    def _fits(self, turn: Turn, batch: np.ndarray) -> bool:
        """Whether the network takes what a turn makes of pictures; one that would be smaller than its input is left out."""
        size, found = batch.shape[2:], turn.size(batch.shape[2], batch.shape[3])
        if turn.swaps and size[0] != size[1] and not self._any_size:
            raise BadRequest(
                f"The network takes pictures of {size[1]}×{size[0]} pixels only, which cannot be turned by a quarter.",
                advice="Leave turns out; vflip and hflip together turn by a half.",
            )
        least = tile_of(self.meta, batch.shape)
        return turn.scale >= 1.0 or all(side >= want for side, want in zip(found, least, strict=True))


def _allowed(meta: Mapping[str, Any], what: str) -> Task:
    """The task of a model whose answers can be put together. Raises BadRequest."""
    task = of(meta["task"], Labels.of_snapshot(meta))
    if not task.answers_join:
        raise BadRequest(
            f"{what} cannot be used here: the model answers with numbers ({task.title.lower()}), and nobody knows how those of "
            "parts of a picture, or of a mirrored one, belong together.",
            advice="Leave tiling and tta out.",
        )
    return task


def tile_of(meta: Mapping[str, Any], shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of the tiles of pictures (N, C, H, W): those of the network's input; of a picture that the model pads
    itself no more than the picture's."""
    height, width = (int(side) for side in meta["input_shape"][1:])
    return (min(height, shape[2]), min(width, shape[3])) if meta.get("stride") else (height, width)


def takes_any_size(meta: Mapping[str, Any]) -> bool:
    """Whether the network was trained on pictures of several sizes."""
    return bool(meta.get("stride") or not meta.get("one_size", True))


def middle(batch: np.ndarray, meta: Mapping[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """What a network that was trained on crops sees of pictures (N, C, H, W) of the stored size, and its first row and column:
    turned pictures have to be turned around that."""
    stored, seen = (tuple(meta.get(name) or ())[1:] for name in ("stored_shape", "input_shape"))
    if not stored or stored == seen or tuple(batch.shape[2:]) != stored:
        return batch, (0, 0)
    cut = centre_part(batch, (seen[0], seen[1]))
    if cut is None:
        return batch, (0, 0)
    return cut, (int(centre_start(stored[0] - seen[0])), int(centre_start(stored[1] - seen[1])))


def _joined(found: Sequence[Outputs]) -> Outputs:
    """Outputs of pictures without batch axis, with one; boxes of different numbers are filled up."""
    return {
        name: stacked([one[name] for one in found]) if name == "boxes" else np.stack([one[name] for one in found])
        for name in found[0]
    }


def _check(grid: Grid) -> None:
    if len(grid) > MOST_TILES:
        height, width = grid.rows.length, grid.columns.length
        raise DataError(
            f"The picture of {width}×{height} pixels would need {len(grid):,} tiles of {grid.columns.tile}×{grid.rows.tile}; "
            f"at most {MOST_TILES:,} are answered.",
            advice="Let the tiles overlap less, or scale the picture down.",
        )


def _check_size(channels: int, grid: Grid) -> None:
    height, width = grid.rows.length, grid.columns.length
    if channels * height * width > MOST_VALUES:
        raise DataError(
            f"The answer for a picture of {width}×{height} pixels would have {channels * height * width:,} numbers "
            f"({channels} for each pixel); at most {MOST_VALUES:,} are put together.",
            advice="Cut the picture, or scale it down.",
        )
