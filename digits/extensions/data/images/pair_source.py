"""Base of the sources that pair a folder of pictures with a folder of labels that are pictures too."""

from __future__ import annotations

from typing import Any, ClassVar

from digits.domain.datasets import STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.files.additions import Naming, naming_of
from digits.extensions.data.files.pairs import Pairs, match, told_apart
from digits.extensions.data.images.base import Entries, ImageSource
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.options import PairOptions
from digits.extensions.data.images.splitting import by_lists, drawn, group_finder
from digits.extensions.data.images.turns import UNKNOWN, way_of_most
from digits.extensions.data.source import Options

SEPARATE = {VAL_DB: ("has_val_folder", "validation"), TEST_DB: ("has_test_folder", "test")}
WAY = "way_of_labels"  # in userdata, see `images.turns`
Pair = list[Any]


class PairSource(ImageSource):
    """Fields of R 6.5 (`feature_folder`, `label_folder`, `folder_pct_val`, `…) and lists, groups, a test split."""

    OPTIONS: ClassVar[type[Options]] = PairOptions
    options: PairOptions
    LABEL_WORD = "label"
    ITSELF: ClassVar[bool] = False  # whether a picture can be its own label, where one folder is given for both

    def collect(self, findings: Findings) -> Entries:
        entries = self._divided(self._pairs("feature_folder", "label_folder", TRAIN_DB, findings), findings)
        for stage, (flag, prefix) in SEPARATE.items():
            if getattr(self.options, flag):
                entries[stage] = self._pairs(f"{prefix}_feature_folder", f"{prefix}_label_folder", stage, findings)
        pairs = [(entry[0], entry[1]) for items in entries.values() for entry in items if len(entry) > 1]
        self.userdata[WAY] = way_of_most([pair for pair in pairs if isinstance(pair[1], str)])  # else the label is no single file
        return entries

    @property
    def way_of_most(self) -> str:
        """How most labels lie over pictures that are turned; not known in jobs of older versions."""
        return str(self.userdata.get(WAY, UNKNOWN))

    def labels_in(self, folder: str, findings: Findings, stage: str) -> list[str]:
        """The label files below a folder."""
        return self.pictures_in(folder, findings, stage)

    @property
    def has_labels(self) -> bool:
        return True

    def _pairs(self, features_field: str, labels_field: str, stage: str, findings: Findings) -> list[Pair]:
        root = self._folder(features_field)
        features = self.pictures_in(root, findings, stage)
        if not self.has_labels:
            return [[path] for path in features]
        label_root = self._folder(labels_field)
        features = features if label_root == root else self.some(features)
        labels = self.labels_in(label_root, findings, stage)
        return self.paired(root, features, label_root, labels, stage, findings)

    def paired(
        self, root: str, features: list[str], label_root: str, labels: list[str], stage: str, findings: Findings
    ) -> list[Pair]:
        """The pictures of one folder with their labels of another, or of the same. Raises DataError where there are none."""
        if self.pattern:
            return self.named(naming_of(self.pattern), root, features, label_root, labels, stage, findings)
        if label_root == root:  # told apart by their names: 1.png and 1_mask.png
            others, named = told_apart(labels)
            if self.ITSELF and not (named and others):
                return [[path, path] for path in features]
            features, labels = others, named
        return self.reported(match(root, features, label_root, labels), root, label_root, stage, findings)

    @property
    def pattern(self) -> str:
        """How labels are named, as the form says it; empty: as their pictures."""
        return ""

    def named(
        self,
        naming: Naming,
        root: str,
        features: list[str],
        label_root: str,
        labels: list[str],
        stage: str,
        findings: Findings,
    ) -> list[Pair]:
        """The pictures with the labels that have names of this form."""
        if label_root == root:
            features, labels = naming.divided(features)
        elif others := [path for path in labels if not naming.label.core_of(path)]:
            reason = f"{len(others)} files here have no name of the form {naming.label}, e.g. {others[0]}; left out."
            findings.add("pair", reason, label_root, stage)
        return self.reported(naming.match(root, features, label_root, labels), root, label_root, stage, findings)

    def reported(self, found: Pairs, root: str, label_root: str, stage: str, findings: Findings) -> list[Pair]:
        """Pairs as entries; what has no partner is noted. Raises DataError where there are none."""
        if not found.pairs:
            features, labels = found.unpaired_features, found.unpaired_labels
            unclear = f" The first problem: {found.unclear[0][1]}" if found.unclear else ""
            raise DataError(
                f"None of the {len(features)} pictures in {root} has a {self.LABEL_WORD} of its name among the {len(labels)} "
                f"files in {label_root} (e.g. {_first(features)} and {_first(labels)}).{unclear}",
                advice="A picture and its label must have the same name but for the extension, e.g. a/1.jpg and b/1.png.",
            )
        no_label = f"No {self.LABEL_WORD} of this name in {label_root}; the picture is left out."
        no_picture = f"No picture of this name in {root}; the {self.LABEL_WORD} is left out."
        lost = not self.options.list_files  # which name the pictures that are wanted
        found.report(findings, stage, no_label, no_picture, lost=lost)
        return [list(pair) for pair in found.pairs]

    def _folder(self, name: str) -> str:
        value: str = getattr(self.options, name)
        if not value:
            raise DataError(f"The folder {name} is not given.", advice="Name it in the form.")
        return value.rstrip("/") or "/"

    def _divided(self, pairs: list[Pair], findings: Findings) -> Entries:
        """The pairs of the first folders, in the splits that have no folder of their own."""
        o, pictures = self.options, [pair[0] for pair in pairs]
        if listed := o.list_files:
            files = {stage: self.file_at(file) for stage, file in listed.items()}
            numbers = by_lists(self._folder("feature_folder"), pictures, files, findings)
        else:
            find = group_finder(o.group_pattern)
            val, test = (0.0 if o.has_val_folder else o.folder_pct_val), (0.0 if o.has_test_folder else o.folder_pct_test)
            numbers = drawn([find(path) for path in pictures], val, test, o.seed)
        return {stage: [p for p, n in zip(pairs, numbers, strict=True) if n == i] for i, stage in enumerate(STAGES)}

    def group_of(self, path: str) -> str:
        """What the group pattern finds in a path."""
        return group_finder(self.options.group_pattern)(path)


def _first(paths: list[str]) -> str:
    return paths[0] if paths else "none"
