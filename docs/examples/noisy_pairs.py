"""python noisy_pairs.py PICTURES OUT [PATCHES] [SIGMA]: grey patches of 64×64 with noise in OUT/noisy, without in OUT/clean."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64


def main(pictures: str, out: str, patches: str = "2000", sigma: str = "25") -> None:
    rng = np.random.default_rng(0)
    files = sorted(path for path in Path(pictures).rglob("*") if path.suffix in (".png", ".jpg"))
    for name in ("noisy", "clean"):
        (Path(out) / name).mkdir(parents=True, exist_ok=True)
    for i in range(int(patches)):
        picture = np.asarray(Image.open(files[i % len(files)]).convert("L"), dtype=np.float64)
        y, x = rng.integers(0, np.array(picture.shape) - SIDE + 1)
        clean = picture[y : y + SIDE, x : x + SIDE]
        noisy = (clean + rng.normal(0, float(sigma), clean.shape)).round().clip(0, 255)
        for name, values in (("noisy", noisy), ("clean", clean)):
            Image.fromarray(values.astype(np.uint8)).save(Path(out) / name / f"{i:05d}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
