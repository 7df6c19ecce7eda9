"""Which contour belongs to which DICOM file."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from digits.extensions.data.files.listing import walk

CONTOUR = re.compile(r"IM-\d+-(\d+)-icontour-manual\.txt$")
PICTURE = re.compile(r"IM-(\d+)-(\d+)\.dcm$")
ZEROS = re.compile(r"(?<=-)0+(?=\d)")


@dataclass(frozen=True)
class Contour:
    """One expert contour of the inner wall; `picture` is empty where the download lacks it."""

    case: str
    number: int
    path: str
    picture: str

    def __str__(self):
        return f"{self.case} {self.number}" + ("" if self.picture else ", whose picture is not in the download")


def case_name(text):
    """The name of a case without leading zeros: contours say SC-HF-I-01 where pictures say SC-HF-I-1."""
    return ZEROS.sub("", text)


def find_contours(contour_folder, image_folder):
    """All contours, by case and number, each with its picture. Raises ValueError where the folders hold none."""
    contours = defaultdict(dict)
    for path in files_below(contour_folder):
        found = CONTOUR.search(path.name)
        if found:
            contours[_case_of(path)][int(found[1])] = path
    if not contours:
        raise ValueError(f"{contour_folder} holds no files named IM-…-icontour-manual.txt; is it the contour folder?")
    series = _series(image_folder)
    result = []
    for case, numbers in sorted(contours.items()):
        pictures = _best_series(series.get(case, {}), numbers)
        result += [Contour(case, number, str(path), str(pictures.get(number, ""))) for number, path in sorted(numbers.items())]
    if not any(contour.picture for contour in result):
        cases = ", ".join(sorted(contours))
        raise ValueError(f"{image_folder} holds no pictures (CASE/IM-SERIES-NUMBER.dcm) of the cases with contours: {cases}.")
    return result


def files_below(folder):
    """Every file below a folder; links to folders are followed, because people build subsets out of links."""
    for root, names in walk(folder):
        yield from (Path(root) / name for name in names)


def _case_of(path):
    """The folder above `contours-manual`."""
    parts = path.parts
    place = parts.index("contours-manual") if "contours-manual" in parts else len(parts) - 1
    return case_name(parts[place - 1])


def _series(image_folder):
    """Case -> series -> number -> file."""
    cases = defaultdict(lambda: defaultdict(dict))
    for path in files_below(image_folder):
        found = PICTURE.search(path.name)
        if found:
            cases[case_name(path.parent.name)][found[1]][int(found[2])] = path
    return cases


def _best_series(series, numbers):
    """The series that has most of the numbers a case has contours for."""
    return max(series.values(), key=lambda files: len(set(files) & set(numbers)), default={})
