"""What an encoder found of pictures, and which directions of its space are attributes."""

import numpy as np
from digits_data_gan.attribute_vectors import CELEBA, AttributeVectors

from digits_view_gan.pictures import as_picture

STRONGEST = 5
CODES = ("code", "encoding", "latent", "z")  # what an encoder's vector is called among other outputs


def encoding_of(outputs, picture):
    """The latent vector (z,) that an encoder gives for a picture, (H, W) or (H, W, C), and the picture that the network gives
    beside it, as `as_picture` gives it, or None. They are two outputs, or one: the vector and behind it the pixels (C, H, W)."""
    arrays = {name: np.asarray(output, np.float64) for name, output in outputs.items()}
    vectors = {name: array.ravel() for name, array in arrays.items() if array.size == max(array.shape, default=0)}
    if not vectors:
        raise ValueError("no output is a vector: an encoder gives a latent vector for each picture")
    name = next((name for name in CODES if name in vectors), next(iter(vectors)))
    pictures = [array for other, array in arrays.items() if other not in vectors]
    if pictures:
        return vectors[name], as_picture(pictures[0])
    both, pixels = vectors[name], np.size(picture)
    if both.size <= pixels:
        return both, None
    dims = (*np.shape(picture), 1)[:3]
    return both[:-pixels], as_picture(both[-pixels:], dims)


def names_of(count, kept):
    """Names of the attributes: those that the data set kept, CelebA's where there are forty, else numbers."""
    names = list(kept.get("attribute_names") or ())
    if len(names) == count:
        return [str(name) for name in names]
    return list(CELEBA) if count == len(CELEBA) else [f"attribute {number}" for number in range(count)]


def held_attributes(label, kept):
    """What a picture's label says of its attributes, (attributes,), above 0 what it has; of a class whether it is of each. None
    where it has no such label."""
    values = np.ravel(label) if label is not None and not isinstance(label, str) else np.zeros(0)
    classes = len(kept.get("class_labels") or ())
    if values.size == 1 and classes and 0 <= int(values[0]) < classes:
        return np.eye(classes)[int(values[0])]
    return values.astype(np.float64) if values.size > 1 and values.dtype.kind in "iufb" else None


def find_vectors(encodings, labels, names):
    """The vectors of attributes, and a row for each: how many pictures have it, and how well its vector tells them apart.

    `encodings` (pictures, z); `labels` (pictures, attributes), above 0 where a picture has one. A vector is the mean of those
    with the attribute less the mean of those without; an attribute that all have, or none, has no vector.
    """
    rows, vectors = [], []
    for name, column in zip(names, labels.T, strict=True):
        has = column > 0
        if has.all() or not has.any():
            continue
        vector = encodings[has].mean(axis=0) - encodings[~has].mean(axis=0)
        shares = encodings @ vector
        rows.append({"name": name, "count": int(has.sum()), "of": len(has), "told": auc(shares[has], shares[~has])})
        vectors.append(vector)
    if not rows:
        return None, []
    return AttributeVectors([row["name"] for row in rows], np.array(vectors, np.float32)), rows


def auc(first, second):
    """The chance that one of the first (n,) is greater than one of the second (m,); ties count half (Mann and Whitney, 1947)."""
    difference = first[:, None] - second[None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def strongest(encoding, known):
    """The attributes that an encoding (z,) has most of, with the cosine of the angle to their vectors (attributes, z)."""
    if encoding.size != known.size:
        raise ValueError(f"the encoding has {encoding.size} numbers, the vectors of attributes have {known.size}")
    lengths = np.linalg.norm(known.vectors, axis=1) * np.linalg.norm(encoding)
    cosines = known.vectors @ encoding / np.where(lengths, lengths, 1)
    best = np.argsort(-cosines, kind="stable")[:STRONGEST]
    return [{"name": known.names[number], "cosine": float(cosines[number])} for number in best]
