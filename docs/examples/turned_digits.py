"""python turned_digits.py DIGITS OUT [COUNT]: pictures turned by -45 to 45 degrees in OUT/images, the angles in OUT/angles.csv.

DIGITS is a folder of grey pictures, as `digits download-data mnist` writes it. Upright digits differ in slant themselves, so
nobody can be right to the degree.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

MOST = 45.0


def main(digits: str, out: str, count: str = "5000") -> None:
    rng = np.random.default_rng(0)
    files = sorted(path for path in Path(digits).rglob("*.png"))
    chosen = rng.choice(len(files), min(int(count), len(files)), replace=False)
    (Path(out) / "images").mkdir(parents=True, exist_ok=True)
    with open(Path(out) / "angles.csv", "w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["image", "angle"])
        for i, number in enumerate(chosen):
            angle = round(float(rng.uniform(-MOST, MOST)), 2)
            name = f"{i:05d}.png"
            Image.open(files[number]).convert("L").rotate(angle, Image.Resampling.BILINEAR).save(Path(out) / "images" / name)
            rows.writerow([name, angle])


if __name__ == "__main__":
    main(*sys.argv[1:])
