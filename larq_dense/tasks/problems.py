"""What is wrong with a data set, told of its lists, its folders and its balance of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from larq_dense.tasks.classes import CLASSES_FILE
from larq_dense.tasks.layouts import Pair, PictureFiles
from larq_dense.tasks.names import is_hidden

# Lists that must not share a frame; other lists, such as a choice of pictures, may.
_DISJOINT = ("train", "val", "test")
# Splits that a network learns from; one of another name may be a choice of pictures.
_TAUGHT = ("train", "all")
_EXAMPLES = 3
_DESCRIPTIONS = {".yaml", ".yml", ".json", ".csv", ".xml"}


@dataclass(frozen=True)
class Problem:
    """Something to fix.

    Attributes:
        kind: What is wrong, in a few words, the same wherever it is.
        file: The file, list or frame.
        message: A sentence that names it and the fix.
        severe: Whether it must be fixed; else it may be meant so.
    """

    kind: str
    file: str
    message: str
    severe: bool = True


def in_lists(splits: Mapping[str, Sequence[Pair]]) -> list[Problem]:
    """Return the problems of the lists: empty ones, and frames that are in two places."""
    problems = []
    for name, pairs in splits.items():
        if not pairs:
            problems.append(Problem("empty lists", name, f"the split {name!r} is empty."))
        elif name not in _DISJOINT and not any(pair.image for pair in pairs):
            # Nobody's notes need one sentence a line.
            problems.append(
                Problem(
                    "lists of something else",
                    name,
                    f"{name}.txt names no picture, beginning with {pairs[0].stem[:60]!r}, but has "
                    "no image in common with the folder; correct it, or move it elsewhere if it is "
                    "no list.",
                )
            )
        problems += _twice(name, pairs)
    present = [name for name in _DISJOINT if name in splits]
    for index, first in enumerate(present):
        stems = {pair.stem for pair in splits[first]}
        for second in present[index + 1 :]:
            shared = dict.fromkeys(pair.stem for pair in splits[second] if pair.stem in stems)
            problems += [
                Problem(
                    "pictures in two splits",
                    second,
                    f"{stem!r} is in {first!r} and in {second!r}; take it off one of them.",
                )
                for stem in shared
            ]
    return problems


def _twice(name: str, pairs: Iterable[Pair]) -> list[Problem]:
    counts = Counter(pair.stem for pair in pairs)
    return [
        Problem("pictures twice in a list", name, f"{stem!r} is twice in {name!r}; remove a line.")
        for stem, count in counts.items()
        if count > 1
    ]


def in_folders(folders: Iterable[PictureFiles]) -> list[Problem]:
    """Return the problems of names in folders: files that are not read, and likely mix-ups."""
    problems = []
    for files in folders:
        for path in files.others:
            what = (
                f"the folder {path} is not looked into; move its files up"
                if path.is_dir()
                else f"{path} is of a kind that is not read; convert it to PNG or JPEG"
            )
            problems.append(
                Problem("files that are not read", str(path), f"{what}, or move it elsewhere.")
            )
        for alike in files.same_but_for_case():
            names = " and ".join(path.name for path in alike)
            problems.append(
                Problem(
                    "names that differ in capitals only",
                    str(alike[0]),
                    f"{names} in {files.folder} differ in capitals only, and are one file on "
                    "Windows and macOS; rename one.",
                    severe=False,
                )
            )
    return problems


def in_root(root: Path, masks: Path) -> list[Problem]:
    """Return the problems of what a plain folder itself holds.

    Args:
        root: The folder.
        masks: Where its masks should lie.
    """
    problems = []
    if not masks.is_dir() and any((root / "images").iterdir()):
        there = ", ".join(f"{path.name}/" for path in sorted(root.iterdir()) if path.is_dir())
        problems.append(
            Problem(
                "no folder of masks",
                str(masks),
                f"{masks} is no folder, so that no picture has a mask (there is {there}); give the "
                "folder of masks that name.",
            )
        )
    for path in sorted(root.iterdir()):
        is_list = path.is_file() and path.suffix == ".txt"
        is_folder = path.is_dir() and not path.suffix
        if path.stem.casefold() in _DISJOINT and not is_list and not is_folder:
            message = f"{path} is not read; a split is a file such as train.txt."
            problems.append(Problem("lists that are not read", str(path), message))
    for path in sorted(root.glob("*/*.txt")) + sorted(root.glob("*/*/*.txt")):
        if path.stem.casefold() in _DISJOINT and path.parent not in (root / "images", masks):
            message = f"{path} is not read; move it to {root}."
            problems.append(Problem("lists that are not read", str(path), message))
    return problems + _in_descriptions(root)


def _in_descriptions(root: Path) -> list[Problem]:
    """Return the problem of a file that may be meant for `classes.yaml`."""
    if (root / CLASSES_FILE).exists():
        return []
    found = [path for path in sorted(root.iterdir()) if path.suffix in _DESCRIPTIONS]
    return [
        Problem(
            "files that are not read",
            str(path),
            f"{path} is not read; if it names the classes, write them into classes.yaml.",
            severe=False,
        )
        for path in found
        if path.is_file() and not is_hidden(path)
    ]


def in_balance(
    split: str,
    classes: Sequence[str],
    images: Sequence[int],
    masks: Sequence[Path],
    raw_values: set[int],
) -> list[Problem]:
    """Return the problems of what a split's masks show.

    Args:
        split: Its name.
        classes: The names of the classes.
        images: Pictures that show each class.
        masks: Files that were read.
        raw_values: The values in them.
    """
    if not masks:
        return []
    shown = [name for name, count in zip(classes, images, strict=True) if count]
    missing = [name for name, count in zip(classes, images, strict=True) if not count]
    if len(shown) < 2:
        what = f"only {shown[0]!r}" if shown else "nothing, because every pixel is ignored"
        fix = _black_and_white(raw_values)
        return [
            Problem(
                "masks that teach nothing",
                split,
                f"the masks of the split {split!r} ({_few(masks)}) show {what}"
                f"{fix or '; label more classes, or correct the masks or classes.yaml.'}",
                severe=split in _TAUGHT or not shown or bool(fix),
            )
        ]
    if not missing:
        return []
    return [
        Problem(
            "classes without a picture",
            split,
            f"no picture of the split {split!r} shows {_few(map(repr, missing))}; add some, or "
            "leave the class out.",
            severe=False,
        )
    ]


def among_others(split: str, masks: Mapping[Path | None, frozenset[int]]) -> list[Problem]:
    """Return the problem of a few masks in black and white among masks of other values.

    Args:
        split: Its name.
        masks: The values in each mask's file.
    """
    odd = [path for path, values in masks.items() if len(values) == 2 and 255 in values]
    others = [values for path, values in masks.items() if path not in odd]
    if not odd or not any(len(values) > 1 for values in others) or any(255 in v for v in others):
        return []
    return [
        Problem(
            "masks in black and white among others",
            split,
            f"of the split {split!r} only {_few(odd)} hold 255, and no other value but one, as "
            "black and white masks do; see whether 255 is a class there, and save them as the "
            "others are.",
            severe=False,
        )
    ]


def _few(items: Iterable[object]) -> str:
    """Name the first few of some things."""
    names = [str(item) for item in items]
    more = len(names) - _EXAMPLES
    return ", ".join(names[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")


def _black_and_white(values: set[int]) -> str:
    if len(values) == 2 and 255 in values:
        other = min(values)
        return (
            f"; their values are {other} and 255, as in black and white masks, but 255 is the "
            "value to ignore: give the class that is white `value: 255` in classes.yaml (without "
            "that file, name the labels binary), or save the masks with the values 0 and 1."
        )
    return ""
