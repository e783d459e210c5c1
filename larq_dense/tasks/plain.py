"""The plain folder: `images/`, `masks/`, split lists `NAME.txt`, perhaps `classes.yaml`."""

import re
from pathlib import Path

import numpy as np

from larq_dense.common.errors import DataError
from larq_dense.common.images import read_mask
from larq_dense.tasks import encodings
from larq_dense.tasks.classes import CLASSES_FILE, read_classes
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Pair, by_stem, read_lines

# Enough masks to meet a data set's frequent classes, few enough to read in a moment.
GUESS_FROM = 16
# The split of every picture, in a list or not.
ALL = "all"


def matches(root: Path) -> bool:
    """Whether `root` is a plain folder."""
    return (root / "images").is_dir()


def lists(root: Path) -> list[str]:
    """Return the names of the split lists."""
    return sorted(path.stem for path in root.glob("*.txt"))


def read_list(root: Path, split: str) -> list[str]:
    """Return the stems of one split in their order.

    Raises:
        DataError: There is no such list.
    """
    path = root / f"{split}.txt"
    if path.is_file():
        stems = [line.strip() for line in read_lines(path) if line.strip()]
    elif split == ALL:
        stems = list(by_stem(root / "images"))
    else:
        raise DataError(
            f"{root} has no split {split!r}; it has {', '.join([*lists(root), ALL])} "
            f"(a split is a file {split}.txt with one file name, without ending, a line)."
        )
    return stems


def mask_folder(root: Path, encoding: Encoding) -> Path:
    """Return where `root` keeps masks of `encoding`."""
    own = root / encoding.mask_folder
    return own if own.is_dir() else root / "masks"


def pairs(root: Path, split: str, encoding: Encoding) -> list[Pair]:
    """Return the frames of one split in their order.

    Where the encoding has a mask folder of its own, it may cover only a part of the pictures,
    and only those frames are returned.
    """
    images = by_stem(root / "images")
    folder = mask_folder(root, encoding)
    masks = by_stem(folder)
    found = [Pair(stem, images.get(stem), masks.get(stem)) for stem in read_list(root, split)]
    if folder.name != "masks":
        found = [pair for pair in found if pair.mask is not None]
    return found


def own_encoding(root: Path) -> Encoding | None:
    """Return what `classes.yaml` says, or None where there is none."""
    if not (root / CLASSES_FILE).is_file():
        return None
    own = read_classes(root)
    values = {value: info.name for value, info in enumerate(own.classes)}
    return Encoding(CLASSES_FILE, values, frozenset({own.ignore_value}))


def hinted(folder: Path) -> list[Encoding]:
    """Return the encodings that a folder's name, or that of a link's target, points to."""
    # Whole words: "hidden" is no IDD, "personal" shows no person.
    words = set(re.findall("[a-z]+", f"{folder.absolute().name} {folder.resolve().name}".lower()))
    return [e for e in encodings.known().values() if words.intersection(e.hints)]


def values_seen(root: Path) -> set[int]:
    """Return the values of a few masks, evenly chosen; unreadable ones are passed over."""
    paths = list(by_stem(root / "masks").values())
    seen: set[int] = set()
    for path in paths[:: max(len(paths) // GUESS_FROM, 1)]:
        try:
            seen.update(np.unique(read_mask(path)).tolist())
        except DataError:
            continue
    return seen
