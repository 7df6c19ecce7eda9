"""Vectors to generate from: where to start, ways between them, and the grids and films that the tasks make of them."""

import re
from dataclasses import dataclass

import numpy as np

from digits_data_gan.attribute_vectors import read_vectors

BETWEEN = re.compile(r"[\s,;\[\]]+")
RANDOM_CORNERS = 4  # vectors of a film that names none
MOST = 10_000  # vectors at once


@dataclass(frozen=True, eq=False)
class Vector:
    """The numbers of one picture, latent ones first, then a share of each class; `name` says where it lies among the others."""

    name: str
    numbers: np.ndarray

    def __str__(self):
        return self.name


class Latent:
    """The space of a generator: `z_dim` numbers, and `class_count` more where it is told the class of what to make."""

    def __init__(self, z_dim, class_count):
        self.z_dim = z_dim
        self.class_count = class_count

    def start(self, text):
        """The vector that is written in a text, (z,); a random one where it is blank. One that was copied together with its class
        is read without. Raises ValueError."""
        if not (text or "").strip():
            return np.random.normal(size=self.z_dim)
        numbers = numbers_in(text)
        return np.array(numbers[: self.latent_part(len(numbers))])

    def latent_part(self, size):
        """How many of a vector's numbers are latent: all, or those before the classes. Raises ValueError for another size."""
        if size not in (self.z_dim, self.z_dim + self.class_count):
            raise ValueError(f"a vector of {self.z_dim} numbers is expected, found {size}")
        return self.z_dim

    def several(self, text):
        """The vectors that are written in the lines of a text, random ones where it is blank."""
        lines = [line for line in (text or "").splitlines() if line.strip()]
        return [self.start(line) for line in lines or [""] * RANDOM_CORNERS]

    def at(self, name, z, shares=None):
        """The input of a generator; `shares` (classes,) of what is wanted sum to one, without them the first class is."""
        shares = self.one_class(0) if shares is None else shares
        return Vector(name, np.concatenate([z, shares]).astype(np.float32))

    def one_class(self, number):
        """The shares of a class alone, (classes,); empty for a generator that knows none. Raises ValueError."""
        if self.class_count and number >= self.class_count:
            raise ValueError(f"there is no class {number}: the generator knows {self.class_count}, from 0 on")
        return np.eye(self.class_count)[number] if self.class_count else np.zeros(0)


def numbers_in(text):
    """The numbers of a text between blanks, commas or brackets. Raises ValueError for what is none."""
    words = [word for word in BETWEEN.split(text) if word]
    try:
        found = [float(word) for word in words]
    except ValueError as error:
        raise ValueError(f"numbers between blanks are expected, found {str(error).partition(': ')[2]}") from error
    if not np.isfinite(found).all():
        raise ValueError("a vector holds numbers that are not finite")
    return found


def between(share, first, second):
    """The vector (n,) at `share` in [0, 1] of the arc from the first to the second: between random vectors the straight way leads
    through ones far shorter than any that a generator has seen. (Spherical interpolation: Shoemake, 1985.)"""
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    angle = np.arccos(np.clip(first @ second / lengths, -1, 1)) if lengths else 0.0
    if np.sin(angle) < 1e-6:
        return (1 - share) * first + share * second
    return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)


def class_sweep(latent, options):
    """A column for each class, from it at the top to the next at the bottom, all of one latent vector."""
    if not latent.class_count:
        raise ValueError("a class sweep is for generators that are told the class: give the number of classes")
    z = latent.start(options.class_z_vector)
    names = grid_names(options.row_count, latent.class_count)
    for row, share in enumerate(steps(options.row_count)):
        for column in range(latent.class_count):
            following = (column + 1) % latent.class_count
            shares = (1 - share) * latent.one_class(column) + share * latent.one_class(following)
            yield latent.at(f"{names(row, column)}: class {column} to {following}", z, shares)


def style_sweep(latent, options):
    """From one latent vector at the top to another at the bottom, a column for each class; one row without classes."""
    first, second = latent.start(options.style_z1_vector), latent.start(options.style_z2_vector)
    way = [between(share, first, second) for share in steps(options.row_count)]
    if not latent.class_count:
        names = grid_names(1, len(way))
        yield from (latent.at(names(0, column), z) for column, z in enumerate(way))
        return
    names = grid_names(len(way), latent.class_count)
    for row, z in enumerate(way):
        for column in range(latent.class_count):
            yield latent.at(f"{names(row, column)}: class {column}", z, latent.one_class(column))


def one_picture(latent, options):
    """A single picture, of a class where the generator knows some."""
    number = options.genimg_class_id or 0
    name = f"class {number}" if latent.class_count else "generated"
    yield latent.at(name, latent.start(options.genimg_z_vector), latent.one_class(number))


def attributes(latent, options):
    """One latent vector with attributes added: a picture for each line of strengths; without lines a row for each attribute, from
    its opposite to it."""
    z = latent.start(options.attributes_z_vector)
    if not options.attributes_file:
        raise ValueError("name the file of the vectors of attributes")
    known = read_vectors(options.attributes_file)
    known = known.first(latent.latent_part(known.size))
    lines = [line for line in (options.attributes_params or "").splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        yield latent.at(f"line {number:0{len(str(len(lines)))}d}", z + known.change(strengths_in(line, known.edited())))
    if lines:
        return
    names = grid_names(len(known.names), options.row_count)
    for row, name in enumerate(known.names):
        for column, strength in enumerate(np.linspace(-1, 1, options.row_count)):
            yield latent.at(f"{names(row, column)}: {name} {strength:+.2f}", z + known.change({name: strength}))


def strengths_in(line, names):
    """Strengths by name: `Smiling=1 Male=-0.5`, or numbers alone for the first of `names`. Raises ValueError."""
    words = [word for word in BETWEEN.split(line) if word]
    if not any("=" in word for word in words):
        values = numbers_in(line)
        if len(values) > len(names):
            raise ValueError(f"{len(values)} strengths in a line, but {len(names)} attributes: {', '.join(names)}")
        return dict(zip(names, values, strict=False))
    parted = [word.rpartition("=") for word in words]
    return {name: value for (name, _, _), value in zip(parted, numbers_in(" ".join(p[2] for p in parted)), strict=True)}


def analogy(latent, options):
    """First is to second as third is to what? A grid with the three in its corners and the answer in the fourth."""
    given = (options.attributes_z1_vector, options.attributes_z2_vector, options.attributes_z3_vector)
    first, second, third = (latent.start(text) for text in given)
    fourth = second + third - first
    names = grid_names(options.row_count, options.row_count)
    for row, down in enumerate(steps(options.row_count)):
        left, right = between(down, first, third), between(down, second, fourth)
        for column, across in enumerate(steps(options.row_count)):
            yield latent.at(names(row, column), between(across, left, right))


def film(latent, options):
    """From each vector to the next, and from the last to the first."""
    corners = latent.several(options.animation_z_vectors)
    if len(corners) < 2:
        raise ValueError("a film needs two vectors at least, one in a line")
    count = options.animation_num_transitions
    check_count(len(corners) * count)
    digits = len(str(len(corners) * count))
    for number, (first, second) in enumerate(zip(corners, corners[1:] + corners[:1], strict=True)):
        for step in range(count):
            name = f"step {number * count + step + 1:0{digits}d}, from vector {number + 1}"
            yield latent.at(name, between(step / count, first, second))


def steps(count):
    """Shares from 0 to 1, (count,); 0 alone where there is but one."""
    return np.linspace(0, 1, count)


def grid_names(rows, columns):
    """Names of the places of a grid by row and column from 0 on, which sort as they lie. Raises ValueError for one too large."""
    check_count(rows * columns)
    digits = len(str(max(rows, columns)))
    return lambda row, column: f"row {row + 1:0{digits}d}, column {column + 1:0{digits}d}"


def check_count(count):
    """Raises ValueError for more pictures than are made at once."""
    if count > MOST:
        raise ValueError(f"this would make {count:,} pictures; at most {MOST:,} are made at once")


TASKS = {
    "class": class_sweep,
    "style": style_sweep,
    "genimg": one_picture,
    "attributes": attributes,
    "analogy": analogy,
    "animation": film,
}
