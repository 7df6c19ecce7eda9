"""Reading COCO's JSON of instances: pictures, categories, annotations, and what belongs to which.

Ids may be whole numbers or texts; `1`, `1.0` and `"1"` are one id, `"0001"` is another. An entry that belongs to nothing is noted
and left out; the file as a whole is refused where it is of another kind: panoptic, captions, results, a list of something else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from digits.errors import DataError
from digits.extensions.data.files.names import FileNames, plain
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.frames import size_in, size_of_two
from digits.extensions.data.images.sizes import NO_SIZE, Size
from digits.utils.values import counted

ADVICE = "Expected is COCO's instances file: an object with `images`, `annotations` and `categories`."
LISTS = ("images", "annotations", "categories")
PLAIN_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
Id = int | str
Annotations = list[dict[str, Any]]


@dataclass(frozen=True)
class CocoPicture:
    """A picture that the file lists: its name, id and the (width, height) that is stated of it (0, 0: none); `written` is the id
    as it stands in the file."""

    name: str
    id: Id
    size: Size = NO_SIZE
    written: Id = 0


@dataclass(frozen=True)
class FoundPicture:
    """A picture file with its annotations, as one entry, or several of one file, list it; `id` is the first one's, as written."""

    path: str
    name: str
    size: Size
    annotations: Annotations
    refused: int = 0
    id: Id | None = None


@dataclass
class CocoFile:
    """`categories` maps an id to a name, in the order of the ids, `written` to the id as it stands in the file; `annotations` and
    `refused` (how many could not be read) are by the id of their picture."""

    path: str
    pictures: list[CocoPicture] = field(default_factory=list)
    categories: dict[Id, str] = field(default_factory=dict)
    written: dict[Id, Id] = field(default_factory=dict)
    annotations: dict[Id, Annotations] = field(default_factory=lambda: defaultdict(list))
    refused: dict[Id, int] = field(default_factory=lambda: defaultdict(int))

    def category_of(self, annotation: dict[str, Any]) -> str:
        """The name of an annotation's category."""
        number = id_of(annotation["category_id"])
        return "" if number is None else self.categories[number]

    def found(self, names: FileNames, findings: Findings, stage: str) -> list[FoundPicture]:
        """The pictures that a folder has, in the order of their paths. Raises DataError when it has none."""
        files = names.find_all([picture.name for picture in self.pictures])
        entries: dict[str, list[CocoPicture]] = defaultdict(list)
        for picture in self.pictures:
            if file := files[picture.name]:
                entries[file.path].append(picture)
            else:
                reason = f"{self.path} lists it: {file.reason} Left out."
                findings.add("pair", reason, picture.name, stage, lost=True)
        if not entries:
            raise DataError(
                f"None of the {len(self.pictures)} pictures that {self.path} lists is in the folder.",
                advice="Name the picture folder that belongs to this file.",
            )
        return [self._joined(path, entries[path], findings, stage) for path in sorted(entries)]

    def _joined(self, path: str, pictures: Sequence[CocoPicture], findings: Findings, stage: str) -> FoundPicture:
        """One file that several ids list has the annotations of all of them, equal ones once; of those that state another size
        than the first one with annotations it has none."""
        size, joined = NO_SIZE, list[str]()
        annotations: Annotations = []
        refused = sum(self.refused.get(one.id, 0) for one in pictures)
        for picture in pictures:
            own, differs = self.annotations.get(picture.id, []), ""
            if own or size == NO_SIZE:
                size, differs = size_of_two(size, picture.size, has_objects=bool(annotations))
            if differs:
                reason = f"{differs} before: {counted(len(own), 'annotation')} of the id {picture.id} left out."
                findings.add("annotation", f"{self.path} lists it more than once. {reason}", path, stage)
                refused += len(own)
                continue
            joined.append(str(picture.id))
            annotations += [one for one in own if not (annotations and _is_among(one, annotations))]
        if len(joined) > 1:
            reason = f"{self.path} lists it under the ids {', '.join(joined)}; their annotations are joined."
            findings.add("note", reason, path, stage)
        return FoundPicture(path, pictures[0].name, size, annotations, refused, pictures[0].written)


def refusal_of(content: Any) -> str:
    """Why what a JSON file holds is no instances file; empty where it is one."""
    if isinstance(content, list) and content and isinstance(content[0], dict) and {"image_id", "score"} <= content[0].keys():
        return "it holds COCO's results, the detections of a model, and no annotations"
    missing = [name for name in LISTS if not isinstance(content, dict) or not isinstance(content.get(name), list)]
    first = _first_annotation(content)
    if "segments_info" in first:
        return (
            "it is of COCO's panoptic task, whose segments lie in PNG files of 24-bit numbers: segmentation reads them, with "
            "this file as its COCO file; boxes stand in the instances file"
        )
    if "caption" in first and "categories" in missing:
        return "it holds COCO's captions, which are texts and no objects"
    return f"it lacks the lists {', '.join(missing)}" if missing else ""


def is_panoptic(content: Any) -> bool:
    """Whether what a JSON file holds is of COCO's panoptic task."""
    return "segments_info" in _first_annotation(content)


def _first_annotation(content: Any) -> dict[str, Any]:
    annotations = content.get("annotations") if isinstance(content, dict) else None
    return next((one for one in annotations if isinstance(one, dict)), {}) if isinstance(annotations, list) else {}


def coco_of(content: Any, path: str, findings: Findings, stage: str) -> CocoFile:
    """What a parsed instances file says. Raises DataError."""
    if refusal := refusal_of(content):
        raise DataError(f"{path} is no instances file: {refusal}.", advice=ADVICE)
    reading = _Reading(CocoFile(path), findings, stage)
    reading.categories(content["categories"])
    reading.pictures(content["images"])
    reading.annotations(content["annotations"])
    return reading.result


def id_of(value: Any) -> Id | None:
    """An id in its one spelling; None for what can be none (a list, NaN, nothing)."""
    if type(value) is int:  # nearly always
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if PLAIN_NUMBER.fullmatch(value) else value
    return None


def _written(value: Any, number: Id) -> Id:
    """An id as its file writes it, which results must repeat: a text stays one."""
    return value if isinstance(value, str) else number


class _Reading:
    """Puts a file's lists into a `CocoFile`, what is wrong into findings."""

    def __init__(self, result: CocoFile, findings: Findings, stage: str) -> None:
        self.result, self.findings, self.stage = result, findings, stage
        self.unclear: set[Id] = set()

    def note(self, reason: str) -> None:
        self.findings.add("annotation", reason, self.result.path, self.stage)

    def categories(self, items: list[Any]) -> None:
        found: dict[Id, str] = {}
        for place, item in enumerate(items):
            number = id_of(item.get("id")) if isinstance(item, dict) else None
            if number is None:
                self.note(f"categories[{place}] has no number or text as its id; it is left out.")
                continue
            self.result.written.setdefault(number, _written(item["id"], number))
            name = plain(str(item.get("name") or "")).strip()
            if not name:
                reason = f"The category {number!r} has no name; it is called by its id."
                self.findings.add("class-names", reason, self.result.path, self.stage)
                name = str(number)
            if found.setdefault(number, name) != name:
                self.note(f"The category id {number!r} stands for {found[number]!r} and {name!r}; its annotations are left out.")
                self.unclear.add(number)
        if items and not found:
            raise DataError(f"{self.result.path}: no category has a number or text as its id.", advice=ADVICE)
        names: dict[str, list[Id]] = defaultdict(list)
        for number in found.keys() - self.unclear:
            names[found[number]].append(number)
        for name, numbers in names.items():
            if len(numbers) > 1:
                ids = " and ".join(str(number) for number in sorted(numbers, key=_order))
                reason = f"The categories {ids} are all called {name!r}: one class."
                self.findings.add("class-names", reason, self.result.path, self.stage)
        self.result.categories = {number: found[number] for number in sorted(found.keys() - self.unclear, key=_order)}

    def pictures(self, items: list[Any]) -> None:
        names: dict[Id, str] = {}
        doubtful: set[Id] = set()
        for place, item in enumerate(items):
            name = item.get("file_name") if isinstance(item, dict) else None
            number = id_of(item.get("id")) if isinstance(item, dict) else None
            if not isinstance(name, str) or not name or number is None:
                lacks = "file_name" if number is not None else "number or text as its id"
                self.note(f"images[{place}] ({name}) has no {lacks}; it is left out.")
            elif number not in names:
                names[number] = name
                size = size_in(item.get("width"), item.get("height"))
                self.result.pictures.append(CocoPicture(name, number, size, _written(item["id"], number)))
            elif names[number] != name:
                self.note(f"The image id {number!r} stands for {names[number]} and {name}: both are left out.")
                doubtful.add(number)
        self.result.pictures = [picture for picture in self.result.pictures if picture.id not in doubtful]

    def annotations(self, items: list[Any]) -> None:
        known = {picture.id for picture in self.result.pictures}
        for place, item in enumerate(items):
            if not isinstance(item, dict):
                self.note(f"annotations[{place}] is no object; it is left out.")
                continue
            name = f"The annotation {item.get('id', f'at place {place}')}"
            picture, category = id_of(item.get("image_id")), id_of(item.get("category_id"))
            if picture is None or picture not in known:
                given = _short(item.get("image_id"))
                self.note(f"{name} belongs to image_id {given}, which `images` lacks; left out. Add the picture or drop it.")
                for one in known.intersection(_ids_in(item.get("image_id"))):
                    self.result.refused[one] += 1
            elif category is None or category not in self.result.categories:
                given = _short(item.get("category_id"))
                self.note(f"{name} has category_id {given}, which `categories` lacks; it is left out. Add the category.")
                self.result.refused[picture] += 1
            else:
                self.result.annotations[picture].append(item)


def _ids_in(value: Any) -> list[Id | None]:
    """The ids in a list that stands where one should."""
    return [id_of(one) for one in value] if isinstance(value, list) else []


def _is_among(annotation: dict[str, Any], others: Annotations) -> bool:
    keys = ("category_id", "bbox", "segmentation")
    return any(all(annotation.get(key) == other.get(key) for key in keys) for other in others)


def _order(number: Id) -> tuple[bool, int, str]:
    """Numbers by their value, then texts by the alphabet."""
    return (False, number, "") if isinstance(number, int) else (True, 0, number)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
