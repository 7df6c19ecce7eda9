"""Which classes there are and how masks name them: from a labels file, a colour map, a known label set, the masks themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from digits.domain.datasets import IGNORED
from digits.errors import DataError, LoadImageError
from digits.extensions.data.files.class_names import are_marked, numbered, read_labels, said_twice, say_twice
from digits.extensions.data.image_segmentation import levels
from digits.extensions.data.image_segmentation.colour_maps import read_colour_map
from digits.extensions.data.image_segmentation.label_sets import LABEL_SETS, Colour
from digits.extensions.data.image_segmentation.masks import (
    BY_KNOWN_COLOURS,
    BY_PALETTE,
    LOSSY_ADVICE,
    MOST_CLASSES,
    VALUES,
    MaskRules,
    channels,
    colour_code,
    colour_of,
    colour_text,
    read_colours,
    read_values,
)
from digits.extensions.data.image_segmentation.palettes import with_palettes
from digits.extensions.data.image_segmentation.survey import Histogram, Survey, lossy_among, spread, survey
from digits.extensions.data.images.findings import Findings
from digits.utils.values import counted, is_digits

VOID_COLOUR = (255, 255, 255)
BINARY_NAMES = ("background", "object")
WHITE = 255  # what does not count, or the object of black and white masks
MANY_CLASSES = 64
FEW = 8  # masks whose colours are looked at
LOOKED_AT = 200  # masks that are looked at where the names of the classes are known


@dataclass(frozen=True)
class Classes:
    """Class names, the rules to read masks with, and 768 numbers of colours (empty: to be chosen)."""

    labels: list[str]
    rules: MaskRules
    palette: list[int]


@dataclass(frozen=True)
class Wanted:
    """What the form says of classes: names file, values and names that do not count, the value from which on a pixel is object
    (None: seen from the masks; 0: none)."""

    labels_file: str = ""
    void: Sequence[str] = ()
    unknown_void: bool = False
    threshold: int | None = None


def of_label_set(name: str, masks: Sequence[str], findings: Findings) -> Classes:
    """The classes of a known label set; whether by value or by colour is seen from the first mask that can be read."""
    known = LABEL_SETS[name]
    values = {**dict.fromkeys(known.void, IGNORED), **{value: i for i, value in enumerate(known.values)}}
    colours = {colour_code(c): IGNORED for c in known.void_colours}
    colours |= {colour_code(c): i for i, c in enumerate(known.colours)}
    rules = MaskRules(values, colours, _are_coloured(masks), refuse_lossy=True, by_palette=BY_KNOWN_COLOURS)
    if rules.by_colour:
        rules = _with_tolerance(rules, masks, findings)
    else:
        _say_lossy(*lossy_among(spread(masks, LOOKED_AT)), "They are left out.", findings)
    return Classes(list(known.names), rules, palette_of(known.colours))


def of_colour_map(file: str, wanted: Wanted, masks: Sequence[str], findings: Findings) -> Classes:
    """The classes of a text file with colours and perhaps names. Raises DataError with file and line."""
    rows = read_colour_map(file)
    named = read_labels(Path(wanted.labels_file)) if wanted.labels_file else []
    if named and len(named) != len(rows):
        raise DataError(
            f"{file} has {len(rows)} colours, {wanted.labels_file} names {len(named)} classes.",
            advice="Give each class one line in both files, in the same order.",
        )
    names = named or [name or str(number) for number, (_, name) in enumerate(rows)]
    numbers, labels = _numbered(names, wanted.void)
    _say_joined(names, numbers, file, findings)
    colours = {colour_code(colour): number for (colour, _), number in zip(rows, numbers, strict=True)}
    kept = {number: colour for (colour, _), number in reversed(list(zip(rows, numbers, strict=True)))}
    _check_number(labels, file)
    rules = _with_tolerance(MaskRules({}, colours, True, wanted.unknown_void), masks, findings)
    return Classes(labels, rules, palette_of([kept[number] for number in range(len(labels))]))


def of_masks(masks: Sequence[str], wanted: Wanted, findings: Findings, check_stop: Callable[[], None]) -> Classes:
    """The classes of index, palette, and black and white masks: named by a labels file, else those that occur."""
    if wanted.threshold:
        classes = _two_classes(binary_names(wanted), wanted.threshold, wanted)
        _say_white(survey(masks, check_stop, LOOKED_AT), wanted.threshold, wanted, findings)
        return classes
    names = read_labels(Path(wanted.labels_file)) if wanted.labels_file else []
    found = survey(masks, check_stop, LOOKED_AT if names else 0)
    if not (found.kept.values or found.lossy.values):
        raise DataError(
            f"None of the masks can be read. {''.join(found.errors[:1])}", advice="" if found.errors else "Give masks."
        )
    palettes = found.palettes
    black_and_white = None if palettes.colours_count else _black_and_white(found, names, wanted, findings)
    if black_and_white is not None:
        return black_and_white
    if not found.kept.values:
        return _of_jpeg(found, names, wanted, findings)
    _say_lossy(found.lossy_files, found.masks, "They are left out.", findings)
    if found.mixes_objects():
        values = " and ".join(f"{value} in {count} masks" for value, count in sorted(found.objects.items()))
        findings.add("mask", f"The object seems to be {values}. Give a mask threshold of 1 if it is.", found.first)
    if palettes.colours_count and not palettes.is_numbered:
        classes = _of_palettes(found, names, wanted, findings)
    else:
        seen = found.only({*palettes.numbers.values(), *palettes.plain}) if palettes.colours_count else found
        classes = _of_names(seen, names, wanted, findings) if names else _of_values(seen, wanted, findings)
        classes = replace(classes, rules=with_palettes(classes.rules, palettes, bool(names), findings))
    return replace(classes, rules=replace(classes.rules, refuse_lossy=bool(found.lossy_files) or classes.rules.refuse_lossy))


def of_objects(wanted: Wanted) -> Classes:
    """The two classes of masks of single objects."""
    return Classes(binary_names(wanted), MaskRules(threshold=1), BINARY_PALETTE)


def palette_of(colours: Sequence[Colour]) -> list[int]:
    """768 numbers: the colours of the classes, black for other numbers, white for void."""
    flat = [value for colour in colours for value in colour]
    return (flat + [0] * 768)[: 3 * IGNORED] + list(VOID_COLOUR)


BINARY_PALETTE = palette_of([(0, 0, 0), (255, 0, 0)])

# -- two classes ----------------------------------------------------------------------------------------------------


def binary_names(wanted: Wanted) -> list[str]:
    """Names of background and object. Raises DataError where the file has another number of names that count."""
    named = read_labels(Path(wanted.labels_file)) if wanted.labels_file else list(BINARY_NAMES)
    names = named if len(named) == 2 else _counting(named, wanted)
    if len(names) != 2:
        raise DataError(
            f"{wanted.labels_file} names {counted(len(named), 'class', 'classes')}; there are two, background and object.",
            advice="Name these two, or leave the file out.",
        )
    return _named_of_two(names)


def _counting(names: Sequence[str], wanted: Wanted) -> list[str]:
    """The names that count."""
    void = {word.lower() for word in wanted.void}
    return [name for name in names if name.lower() not in void]


def _named_of_two(names: Sequence[str]) -> list[str]:
    """The names of two classes, of lines with values (`255: cell`) in the order of these."""
    if not are_marked(names) or said_twice(names) is not None:
        return list(names)
    return [name for _, name in sorted(numbered(names))]


def _two_classes(names: Sequence[str], threshold: int, wanted: Wanted) -> Classes:
    return Classes(list(names or BINARY_NAMES), MaskRules(_void_of_two(wanted), threshold=threshold), BINARY_PALETTE)


def _void_of_two(wanted: Wanted) -> dict[int, int]:
    """The values that do not count in masks of two classes. 255 does: it is the object's own value in most of them, and stands
    among those of the form unless somebody takes it out."""
    return dict.fromkeys(_void_values(wanted.void) - {WHITE}, IGNORED)


def _black_and_white(found: Survey, names: list[str], wanted: Wanted, findings: Findings) -> Classes | None:
    """The classes of masks of 0 and 255 alone, or with values between them that only come from smoothing or JPEG."""
    names = _named_of_two(_counting(names, wanted))
    if len(names) not in (0, 2) or wanted.threshold == 0:
        return None
    void = _void_of_two(wanted)
    together = Histogram(found.kept.counts + found.lossy.counts, found.kept.edges + found.lossy.edges)
    together = together.only(set(together.values) - void.keys())
    values = together.values
    if len(values) == 2 and values[0] == 0 and values[1] in (WHITE, 65535) and not found.lossy_files:
        return Classes(names or list(BINARY_NAMES), MaskRules({0: 0, values[1]: 1} | void), BINARY_PALETTE)
    threshold = levels.threshold_of(together, least=0 if found.lossy_files else 1 if names else levels.SEVERAL)
    if not threshold:
        return None
    classes = _two_classes(names, threshold, wanted)
    then = f"Values from {threshold} on are {classes.labels[1]!r}; give another mask threshold if that is wrong."
    if found.lossy_files:
        _say_lossy(found.lossy_files, found.masks, then, findings)
    else:
        reason = f"The masks have {len(values)} grey values, most of them only at edges between black and white, as if smoothed."
        findings.add("mask", f"{reason} {then}", found.first)
    return classes


# -- numbers of classes ---------------------------------------------------------------------------------------------


def _of_jpeg(found: Survey, names: list[str], wanted: Wanted, findings: Findings) -> Classes:
    """The classes of masks that are all JPEG: a few values, far from each other. Raises DataError for others."""
    known = levels.levels_of(found.lossy, least=0)
    if len(known) < 2 or not levels.are_apart(known) or wanted.threshold == 0:
        raise DataError(
            f"All {found.masks} masks are JPEG, e.g. {found.lossy_files[0]}, which changes the numbers of classes: "
            f"{len(found.lossy.values)} values were found.",
            advice=LOSSY_ADVICE,
        )
    classes = _of_levels(known, names, wanted)
    _say_lossy(found.lossy_files, found.masks, f"Values near {_listed(known)} are classes, others do not count.", findings)
    return classes


def _of_levels(known: list[int], names: list[str], wanted: Wanted) -> Classes:
    void = _void_values(wanted.void)
    counted_levels = [level for level in known if level not in void]
    labels = names if len(names) == len(counted_levels) else list(map(str, counted_levels))
    numbers = {place: counted_levels.index(level) if level not in void else IGNORED for place, level in enumerate(known)}
    values = {value: numbers.get(place, IGNORED) for value, place in levels.around(known).items()}
    _check_number(labels, wanted.labels_file or "The masks")
    return Classes(labels, MaskRules(values, unknown_void=True), [])


def _of_names(found: Survey, lines: list[str], wanted: Wanted, findings: Findings) -> Classes:
    """The classes of a labels file: a name a line from 0 on, or a value and its name a line."""
    void = _void_values(wanted.void)
    seen = set(found.kept.values) - void
    listed = _values_and_names(lines, seen, wanted, findings)
    names = [name for _, name in listed] if listed else lines
    keys = [value for value, _ in listed] if listed else list(range(len(lines)))
    numbers, labels = _numbered(names, [*wanted.void], keys)
    _say_joined(names, numbers, wanted.labels_file, findings)
    values = dict(zip(keys, numbers, strict=True)) | dict.fromkeys(void, IGNORED)
    if beyond := sorted(seen - values.keys()):
        hint = " Does the list lack a name for what is 0, the background?" if not listed and beyond == [len(lines)] else ""
        then = "They do not count." if wanted.unknown_void else "Masks with them are left out."
        reason = f"The masks have values without a name: {_listed(beyond)}. {then}{hint}"
        findings.add("mask", reason, wanted.labels_file)
    _check_number(labels, wanted.labels_file)
    return Classes(labels, MaskRules(values, {}, False, wanted.unknown_void), _kept_palette(found, values))


def _of_values(found: Survey, wanted: Wanted, findings: Findings) -> Classes:
    """Classes without names: from 0 to the greatest value, or only those that occur where they lie far apart."""
    known = levels.levels_of(found.kept) if wanted.threshold != 0 else []
    if known:
        reason = f"The masks have {len(found.kept.values)} values, most of them only at edges, as if smoothed. Classes are "
        then = f"{_listed(known)} and values near them; others do not count."
        findings.add("mask", reason + then, found.first)
        return _of_levels(known, [], wanted)
    void = _void_values(wanted.void)
    counting = sorted(set(found.kept.values) - void)
    if found.counts_objects():
        reason = (
            "The values seem to number the objects of each picture, not classes. A mask threshold of 1 joins them to one class."
        )
        findings.add("mask", reason, found.first)
    elif len(counting) > MANY_CLASSES:
        reason = (
            f"The masks have {len(counting)} values, each of which becomes a class: check that they are masks and no pictures."
        )
        findings.add("mask", reason, found.first)
    if strays := [value for value in found.strays() if value not in void]:
        reason = f"A few pixels of one mask alone have the values {_listed(strays)}, which become classes: check the mask."
        findings.add("mask", reason, found.where[strays[0]])
    if counting and counting[-1] >= max(2 * len(counting), len(counting) + 16):
        values, labels = {value: number for number, value in enumerate(counting)}, [str(value) for value in counting]
    else:
        count = counting[-1] + 1 if counting else 0
        values, labels = {value: value for value in range(count)}, [str(value) for value in range(count)]
    values |= dict.fromkeys(void, IGNORED)
    _check_number(labels, "The masks")
    return Classes(labels, MaskRules(values, {}, False, wanted.unknown_void), _kept_palette(found, values))


def _of_palettes(found: Survey, names: list[str], wanted: Wanted, findings: Findings) -> Classes:
    """The classes of masks whose palettes number the same colours in any order: the colours. Raises DataError."""
    reason = f"The masks have palettes that number the same colours in different orders, e.g. {found.palettes.differing[0]}"
    if names:
        raise DataError(
            f"{reason}: which number has which name in {wanted.labels_file}, nothing tells.",
            advice="Give a colour map in its place: red, green and blue, and the name of the class on every line.",
        )
    codes = sorted(found.palettes.numbers)
    findings.add(
        "mask", f"{reason}: colours are the classes. A colour map gives them names, and says what does not count.", found.first
    )
    labels = [colour_text(code) for code in codes]
    _check_number(labels, "The masks")
    rules = MaskRules(colours={code: number for number, code in enumerate(codes)}, by_palette=BY_PALETTE)
    return Classes(labels, rules, palette_of([colour_of(code) for code in codes]))


def _values_and_names(lines: list[str], seen: set[int], wanted: Wanted, findings: Findings) -> list[tuple[int, str]]:
    """A labels file that says the value of each class (`7: road`); empty where it does not, or the masks have others, unless
    these do not fit its places either. A list that leaves out 0 alone, which masks have, means the background with it.

    Raises DataError where a value has two names."""
    rows, is_marked, twice = numbered(lines), are_marked(lines), said_twice(lines)
    keys = {value for value, _ in rows}
    if not rows or max(keys) >= VALUES or (len(keys) < len(lines) and not is_marked):
        return []
    fits_places = seen <= set(range(len(lines)))
    if not seen <= {0, *keys} and (fits_places or not is_marked):
        if twice is not None:
            say_twice(twice, wanted.labels_file, findings)
        return []
    if twice is not None:
        raise DataError(f"{wanted.labels_file} names the value {twice} twice.", advice="Give each value one line, with one name.")
    if 0 in keys or 0 not in seen:
        return rows
    name = BINARY_NAMES[0]
    findings.add("mask", f"It does not name 0, which the masks have: it is called {name!r}.", wanted.labels_file)
    return [(0, name), *rows]


def _numbered(names: Sequence[str], void: Sequence[str], values: Sequence[int] | None = None) -> tuple[list[int], list[str]]:
    """The class number of each name (IGNORED for those that do not count) and the names that count, each once."""
    left_out = {word.lower() for word in void}
    numbers: list[int] = []
    labels: list[str] = []
    for value, name in zip(values or range(len(names)), names, strict=True):
        if name.lower() in left_out or str(value) in left_out:
            numbers.append(IGNORED)
            continue
        if name not in labels:
            labels.append(name)
        numbers.append(labels.index(name))
    return numbers, labels


def _say_joined(names: Sequence[str], numbers: Sequence[int], file: str, findings: Findings) -> None:
    counts = Counter(name for name, number in zip(names, numbers, strict=True) if number != IGNORED)
    for name, count in counts.items():
        if count > 1:
            findings.add("class-names", f"It calls {count} classes {name!r}: they are one.", file)


def _void_values(void: Sequence[str]) -> set[int]:
    return {int(word) for word in void if is_digits(word) and int(word) < 1 << 16}


def _check_number(labels: list[str], where: str) -> None:
    if len(labels) < 2:
        raise DataError(f"{where}: {len(labels)} class that counts; segmentation needs two.", advice="Background is a class too.")
    if len(labels) > MOST_CLASSES:
        raise DataError(
            f"{where}: {len(labels)} classes; at most {MOST_CLASSES} are possible.",
            advice="Join some of them. Where the values number single objects, a mask threshold of 1 makes one class of all.",
        )


# -- what there is to say -------------------------------------------------------------------------------------------


def _say_lossy(files: Sequence[str], looked_at: int, then: str, findings: Findings) -> None:
    if files:
        reason = f"{len(files)} of {looked_at} masks looked at are JPEG, which changes the values along every edge."
        findings.add("mask", f"{reason} {then} {LOSSY_ADVICE}", files[0])


def _say_white(found: Survey, threshold: int, wanted: Wanted, findings: Findings) -> None:
    """Say where white becomes object in masks that have objects of other values too: it may be their outlines."""
    void = _void_values(wanted.void)
    others = {value for value in found.beside_white if threshold <= value < WHITE} - void
    are_greys = levels.threshold_of(found.kept, least=1) or max(others, default=0) >= WHITE - levels.GAP
    if others and not are_greys and WHITE in void and WHITE in found.where:
        reason = (
            f"{WHITE} stands beside other values from the threshold on ({_listed(sorted(others))}), and is object as they are."
        )
        then = f"If it does not count, save it as another value, e.g. {WHITE - 1}, and name that among those that do not count."
        findings.add("mask", f"{reason} {then}", found.where[WHITE])


def _with_tolerance(rules: MaskRules, masks: Sequence[str], findings: Findings) -> MaskRules:
    """The rules for masks of colours, which take near colours for those of the classes where JPEG or smoothing changed them."""
    codes = np.array(sorted(rules.colours), np.int32)
    tolerance = levels.tolerance_of(channels(codes))
    files, looked_at = lossy_among(spread(masks, LOOKED_AT))
    smoothed = [path for path in spread(masks, FEW) if not files and _has_smoothed_colours(path, codes)]
    if not (files or smoothed):
        return rules
    near = f"Colours within {tolerance} of one of the map are that, others do not count." if tolerance else ""
    then = near or "Masks with other colours than those of the map are left out." if not rules.unknown_void else near
    if files:
        _say_lossy(files, looked_at, then, findings)
    else:
        findings.add("mask", f"It has many colours that are not in the map, as if its edges were smoothed. {then}", smoothed[0])
    return replace(rules, tolerance=tolerance)


def _has_smoothed_colours(path: str, known: np.ndarray) -> bool:
    try:
        return levels.is_smoothed(read_colours(path), known)
    except LoadImageError:
        return False


def _kept_palette(found: Survey, values: dict[int, int]) -> list[int]:
    """The palette of the masks, in the order of the classes; empty where they have none."""
    of_most = {value: colour_of(code) for value, code in found.palettes.of_most.items()}
    colours = {number: of_most[value] for value, number in values.items() if value in of_most and number != IGNORED}
    return palette_of([colours.get(number, (0, 0, 0)) for number in range(max(colours, default=-1) + 1)]) if colours else []


def _are_coloured(masks: Sequence[str]) -> bool:
    for path in masks[:20]:
        try:
            read_values(path)
            return False
        except LoadImageError as error:
            if "colours" in error.message:
                return True
    return False


def _listed(values: Sequence[int]) -> str:
    shown = [str(value) for value in values[:8]]
    return ", ".join(shown) + (f" and {len(values) - 8} more" if len(values) > 8 else "")
