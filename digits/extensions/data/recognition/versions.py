"""Folders with the same names everywhere whose pictures show the same: the one that is told from the others is the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from digits.extensions.data.recognition.alike import SCALE, same_pictures
from digits.extensions.data.recognition.inside import scene_folders
from digits.extensions.data.recognition.proposals import Proposal
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, says_input, says_pictures


def find(tree: Tree) -> Iterator[Proposal]:
    """Each of the others as what goes in."""
    scenes = scene_folders(tree)
    parents = [parent for parent in tree.folders if parent not in scenes]
    found = [(parent, versions) for parent in parents if len(versions := paired_versions(parent)) > 1]
    found.sort(key=lambda item: tree.split_of(item[0]) in ("val", "test"))
    for _, versions in found[:1]:
        target = next((folder for folder in versions if folder.is_label), versions[0])
        count, likely = len(target.names(IMAGE)), say_versions(versions)
        for folder in versions:
            if folder is not target:
                values = {"feature_folder": folder.path, "label_folder": target.path}
                reason = f"{folder.name} and {target.name} show the same {count:,} pictures; {target.name} is to come out."
                title = f"Image processing ({folder.name})"
                yield Proposal("image-processing", title, reason, values, count, tree.complete, likely)


def paired_versions(parent: Folder) -> list[Folder]:
    """Folders of the same pictures under the same whole names."""
    versions = same_pictures(parent)
    return [folder for folder in versions if folder.stems(IMAGE) == versions[0].stems(IMAGE)]


def say_versions(folders: Sequence[Folder]) -> bool:
    """Whether names say that folders hold versions of the same pictures and no classes: `clean`, `noisy5`, `X2`."""
    names = [folder.name for folder in folders]
    told = any(says_input(name) or says_pictures(name) or SCALE.fullmatch(name) for name in names)
    return told or any(folder.is_label for folder in folders)
