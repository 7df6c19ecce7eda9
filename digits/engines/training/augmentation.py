"""Random numbers that are a function of (seed, epoch, sample): order, processes and resumes cannot change them.

What they do is the same in every engine, for every type and number of channels: an augmentation without strength leaves each
bit as it is, and nothing is cut that was in range. A counter-based generator (SplitMix64's finalizer over the mixed key) gives
whole batches at once; no state is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.domain.training import Augmentation

ASIDE = 1 / 1024  # pixels: so far beside its place a map is read, so that between two pixels no rounding decides
EDGE, BLACK = "edge", "black"  # what comes in from outside of a moved picture: its edge repeated, or 0

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_STREAMS = {
    name: i
    for i, name in enumerate(
        ("flip", "quad", "rot", "scale", "contrast", "hue", "saturation", "value", "y", "x", "down", "across")
    )
}


def outside(moves: str) -> str:
    """What comes in from outside of a picture whose labels move as `Task.moves` says: its edge, in maps and label pictures as
    well; where boxes are the labels black, as an object that touches the edge would grow out of its box."""
    return BLACK if moves == "boxes" else EDGE


@dataclass(frozen=True)
class Transforms:
    """What happens to each of N samples. Angles in radians; `noise_keys` seed the pixel noise of each sample."""

    flip_x: np.ndarray  # bool: mirror left-right
    flip_y: np.ndarray  # bool: mirror up-down
    quarter_turns: np.ndarray  # int64, 0 to 3
    angle: np.ndarray  # float64
    zoom: np.ndarray  # float64 factor
    contrast: np.ndarray  # float64 factor
    hsv: np.ndarray  # float64 (N, 3): additions to hue (in turns), saturation and value
    noise_keys: np.ndarray  # uint64
    shift: np.ndarray  # float64 (N, 2): how far the picture moves right and down, as part of its width and height


def draw(augmentation: Augmentation, seed: int, epoch: int, samples: np.ndarray) -> Transforms:
    """The transforms of the samples (n,), int64 indices of records, in one epoch."""
    keys = sample_keys(seed, epoch, samples)
    spread = np.array([augmentation.hsv_h, augmentation.hsv_s, augmentation.hsv_v]) * augmentation.hsv_use
    hsv = np.stack([normal(keys, name) for name in ("hue", "saturation", "value")], axis=1) * spread
    flip = (uniform(keys, "flip") * 4).astype(np.int64)
    return Transforms(
        flip_x=(flip % 2 == 1) & (augmentation.flip in ("fliplr", "fliplrud")),
        flip_y=(flip // 2 == 1) & (augmentation.flip in ("flipud", "fliplrud")),
        quarter_turns=_quarter_turns(augmentation.quad_rot, uniform(keys, "quad")),
        angle=np.deg2rad(augmentation.rot) * (2 * uniform(keys, "rot") - 1),
        zoom=np.clip(1 + augmentation.scale * normal(keys, "scale"), 0.25, 4.0),
        contrast=np.exp(augmentation.contrast * normal(keys, "contrast")),
        hsv=hsv,
        noise_keys=keys,
        shift=augmentation.shift * (2 * np.stack([uniform(keys, "across"), uniform(keys, "down")], axis=1) - 1),
    )


def crop_offsets(seed: int, epoch: int, samples: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Upper left corners, int64 (N, 2) as (y, x) in pixels, of random crops; `room` (N, 2) is how far each may move down and
    right."""
    keys = sample_keys(seed, epoch, samples)
    drawn = np.stack([uniform(keys, "y"), uniform(keys, "x")], axis=1)
    return (drawn * (room + 1)).astype(np.int64)


def pixel_noise(keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal noise, float32 (N, *shape), one stream per key of `keys` uint64 (N,)."""
    noise = np.empty((len(keys), *shape), dtype=np.float32)
    for row, key in zip(noise, keys, strict=True):
        np.random.Generator(np.random.PCG64(int(key))).standard_normal(out=row, dtype=np.float32)
    return noise


def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order of an epoch: int64 (length,)."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(length)


def sample_keys(seed: int, epoch: int, samples: np.ndarray) -> np.ndarray:
    """A key for each sample of (n,): uint64 (n,). The mixing is SplitMix64's (Steele 2014)."""
    base = _mix_int(_mix_int(seed & _MASK) + epoch)
    return _mix(np.asarray(samples).astype(np.uint64) + np.uint64(base))


def uniform(keys: np.ndarray, stream: str, part: int = 0) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 (n,), one for each of `keys` uint64 (n,), independent between streams."""
    counter = ((2 * _STREAMS[stream] + part + 1) * _GOLDEN) & _MASK
    return (_mix(keys + np.uint64(counter)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(keys: np.ndarray, stream: str) -> np.ndarray:
    """Standard normal numbers, float64 (n,), one for each of `keys` uint64 (n,): Box and Muller's transform (1958) of two
    uniform ones."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(keys, stream)))
    return radius * np.cos(2.0 * np.pi * uniform(keys, stream, 1))


def _quarter_turns(mode: str, drawn: np.ndarray) -> np.ndarray:
    choices = {"rot90": (0, 1, 3), "rot180": (0, 2), "rotall": (0, 1, 2, 3)}.get(mode, (0,))
    return np.asarray(choices, dtype=np.int64)[(drawn * len(choices)).astype(np.int64)]


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix_int(x: int) -> int:
    return int(_mix(np.array([(x + _GOLDEN) & _MASK], dtype=np.uint64))[0])
