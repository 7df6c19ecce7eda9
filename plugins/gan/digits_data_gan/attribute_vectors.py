"""Vectors of attributes: what to add to a latent vector so that the picture made of it gains an attribute.

A file of them is JSON (`{"attributes": {"Smiling": [0.1, …]}}`, as the view of this package writes it), `.npy` (attributes, z),
`.npz` (an array (z,) for each name), or a pickle of arrays as scripts of the original left it, of which only arrays are read.
"""

import io
import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# fmt: off
CELEBA = [  # the columns of the data set's list
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee",
    "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair",
    "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
]
# fmt: on
EDITED = ("Bald", "Black_Hair", "Blond_Hair", "Male", "Smiling", "Wearing_Lipstick", "Young")  # by strengths without names
ARRAYS = re.compile(r"numpy(\._?core)?(\.(multiarray|numeric))?")
PARTS = frozenset({"ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer"})


@dataclass(frozen=True)
class AttributeVectors:
    """Names and vectors, float32 (attributes, z), in the same order."""

    names: list[str]
    vectors: np.ndarray

    def edited(self):
        """The names that strengths without names belong to: seven of CelebA's forty, else all."""
        return [name for name in EDITED if name in self.names] if self.names == CELEBA else list(self.names)

    def change(self, strengths):
        """What to add to a latent vector, (z,), for a strength by name. Raises ValueError for a name that is not there."""
        unknown = [name for name in strengths if name not in self.names]
        if unknown:
            raise ValueError(f"there is no attribute {unknown[0]!r}; there are {', '.join(self.names)}")
        return sum((value * self.vectors[self.names.index(name)] for name, value in strengths.items()), np.zeros(self.size))

    @property
    def size(self):
        return self.vectors.shape[1]

    def first(self, count):
        """Their first numbers alone."""
        return AttributeVectors(self.names, self.vectors[:, :count])

    def to_json(self):
        rows = {name: [round(float(value), 6) for value in row] for name, row in zip(self.names, self.vectors, strict=True)}
        return json.dumps({"attributes": rows})


def read_vectors(file):
    """The vectors of a file. Raises ValueError saying what it is not."""
    try:
        found = _content(Path(file).read_bytes())
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{file} holds no vectors of attributes: {error}") from error
    names, rows = (list(map(str, found)), list(found.values())) if isinstance(found, dict) else (None, list(found))
    try:
        vectors = np.array([np.ravel(row) for row in rows], np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file} holds vectors of several lengths, or no numbers") from error
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError(f"{file} holds no vectors of attributes: numbers (attributes, z) are expected")
    if names is None or all(name.isdecimal() for name in names):
        names = CELEBA if len(rows) == len(CELEBA) else [f"attribute {number}" for number in range(len(rows))]
    return AttributeVectors(list(names), vectors)


def _content(data):
    """A mapping of names to vectors, or vectors alone."""
    if data.startswith(b"PK"):
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    if data.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(data), allow_pickle=False)
    if data.lstrip()[:1] in (b"{", b"["):
        found = json.loads(data)
        return found["attributes"] if isinstance(found, dict) else found
    return _OfArrays(io.BytesIO(data), encoding="latin1").load()


class _OfArrays(pickle.Unpickler):
    """Reads NumPy's arrays among lists and dictionaries; runs nothing else that a file names."""

    def find_class(self, module, name):
        if (ARRAYS.fullmatch(module) and name in PARTS) or (module, name) == ("_codecs", "encode"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array; save the vectors as .npz")
