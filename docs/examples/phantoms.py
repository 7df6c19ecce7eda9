"""Writes heads with tumours as NIfTI volumes, laid out as the BraTS challenges have theirs: python phantoms.py FOLDER SCANS
[SIDE] [SEED].

A tumour is a ball: a necrotic core (1) within an enhancing rim (4) within an oedema (2). No modality shows all three: the oedema
is bright in FLAIR and T2, the rim in T1c, the core dark in T1c. Brightness and noise differ from scan to scan."""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np

SLICES = 12
# Brightness by modality: of the brain, the core (1), the oedema (2), the rim (4).
BRIGHTNESS = {
    "flair": (0.4, 0.55, 0.8, 0.7),
    "t1": (0.6, 0.4, 0.5, 0.55),
    "t1ce": (0.5, 0.3, 0.45, 0.95),
    "t2": (0.4, 0.85, 0.75, 0.6),
}
TYPES = {"uint8": 2, "int16": 4, "float32": 16}


def write_nifti(path, volume, affine):
    """Write a volume (X, Y, Z) as NIfTI-1, compressed; `affine` (4, 4) leads from voxels to millimetres (RAS)."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *volume.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, TYPES[str(volume.dtype)], 8 * volume.dtype.itemsize)
    struct.pack_into("<4f", header, 76, 1.0, *np.linalg.norm(affine[:3, :3], axis=0))
    struct.pack_into("<2f", header, 108, 352.0, 1.0)
    struct.pack_into("<B", header, 123, 2)  # millimetres
    struct.pack_into("<2h12f", header, 252, 0, 1, *[0.0] * 12)
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(bytes(header) + volume.astype(volume.dtype.newbyteorder("<")).tobytes(order="F"), 1))


def phantom(chance, side):
    """Volumes by modality and the label, (X, Y, Z): x to the left, y to the back, z to the head."""
    x, y, z = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j, -1 : 1 : SLICES * 1j]
    head = (x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 1.1) ** 2 < 1
    centre, radius = chance.uniform(-0.4, 0.4, 3), chance.uniform(0.25, 0.45)
    away = np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip((x, y, z), centre, strict=True))) / radius
    label = (np.select([away < 0.45, away < 0.7, away < 1], [1, 4, 2], 0) * head).astype(np.uint8)
    volumes = {}
    for name, (brain, core, oedema, rim) in BRIGHTNESS.items():
        tissue = np.select([label == 1, label == 2, label == 4], [core, oedema, rim], brain) + chance.normal(0, 0.05, head.shape)
        volumes[name] = (head * tissue.clip(0.01) * chance.uniform(400, 1600)).astype(np.int16)
    return volumes, label


def write(folder, scans, side=64, seed=0):
    """A folder for each scan below HGG; every third patient was examined twice."""
    chance = np.random.default_rng(seed)
    affine = np.diag([-240 / side, -240 / side, 155 / SLICES, 1.0])
    patient, examination = 0, 1
    for number in range(scans):
        patient, examination = (patient, 2) if number % 4 == 3 else (patient + 1, 1)
        name = f"Brats_{patient:03d}_{examination}"
        volumes, label = phantom(chance, side)
        for kind, volume in {**volumes, "seg": label}.items():
            write_nifti(folder / "HGG" / name / f"{name}_{kind}.nii.gz", volume, affine)


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
