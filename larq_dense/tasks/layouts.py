"""Data sets as they lie on disk: which files belong together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class Pair(NamedTuple):
    """One frame: its name, its picture and its mask, either of which may be missing."""

    stem: str
    image: Path | None
    mask: Path | None


@dataclass(frozen=True)
class Layout:
    """A data set's folders as published.

    Attributes:
        name: What the data set is called.
        encoding: Name of its label encoding.
        matches: Whether a folder holds this data set.
        splits: The splits that a folder holds.
        pairs: The frames of one of those splits, in a fixed order.
    """

    name: str
    encoding: str
    matches: Callable[[Path], bool]
    splits: Callable[[Path], list[str]]
    pairs: Callable[[Path, str], list[Pair]]


def folders(root: Path) -> list[str]:
    """Return the names of the folders in `root`, sorted; none where `root` is no folder."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir())


def read_lines(path: Path) -> list[str]:
    """Return a list's lines; a name in another encoding than UTF-8 will be reported as missing."""
    return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()


def by_stem(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """Return the picture files of `folder` by stem, in the order of their names."""
    if not folder.is_dir():
        return {}
    suffixes = tuple(suffixes)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    return {path.stem: path for path in files}


def two_folders(images: Path, masks: Path) -> list[Pair]:
    """Pair the files of two folders that have the same stem; the lone ones come too."""
    image_files, mask_files = by_stem(images), by_stem(masks)
    stems = sorted(image_files.keys() | mask_files.keys())
    return [Pair(stem, image_files.get(stem), mask_files.get(stem)) for stem in stems]
