"""Data sets as they lie on disk: which files belong together."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from larq_dense.common.files import is_special
from larq_dense.tasks.names import IMAGE_SUFFIXES, fold, is_hidden, normal, spellings


class Pair(NamedTuple):
    """One frame: its name, its picture and its mask, either of which may be missing.

    Attributes:
        stem: The picture's name without its ending.
        image: The picture's file.
        mask: The mask's file.
        rivals: Files of one stem, of which nobody can tell which one is meant.

    Examples:
        >>> Pair("a", Path("images/a.jpg"), Path("masks/a.png")).stem
        'a'
    """

    stem: str
    image: Path | None
    mask: Path | None
    rivals: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A data set's folders as published.

    Attributes:
        name: What the data set is called.
        encoding: Name of its label encoding.
        matches: Whether a folder holds this data set.
        splits: The splits that a folder holds.
        pairs: The frames of one of those splits, in a fixed order.

    Examples:
        >>> def frames(root, split):
        ...     return two_folders(root / split / "pictures", root / split / "labels")
        >>> layout = Layout(
        ...     name="rooms",
        ...     encoding="rooms",
        ...     matches=lambda root: (root / "train" / "pictures").is_dir(),
        ...     splits=folders,
        ...     pairs=frames,
        ... )
        >>> layout.matches(Path("elsewhere"))
        False
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
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not is_hidden(path))


class PictureFiles:
    """The picture files of a folder, found by the names that people write.

    Attributes:
        folder: The folder; one that is not there holds nothing.
        stems: Every stem, in the order of the files' names.
        others: What lies there and is no picture that can be read; not what systems leave.
    """

    def __init__(self, folder: Path) -> None:
        """List a folder."""
        self.folder = folder
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        entries = [path for path in found if not is_hidden(path)]
        files = [path for path in entries if _may_be_read(path)]
        self.others = [path for path in entries if not _may_be_read(path)]
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._folded: dict[str, list[Path]] = defaultdict(list)
        for path in files:
            self._by_name[normal(path.name)].append(path)
            self._by_stem[normal(path.stem)].append(path)
            self._folded[fold(path.stem)].append(path)
        self.stems = list(self._by_stem)

    def find(self, name: str) -> list[Path]:
        """Return the files that a name may mean; more than one where it cannot be told.

        Args:
            name: A file's name or stem, perhaps with folders of any system before it, in another
                form of Unicode, or with capitals where the file has none.
        """
        for spelling in spellings(name):
            exact = self._by_name.get(spelling) or self._by_stem.get(spelling)
            if exact:
                return exact
        for spelling in spellings(name):
            alike = self._folded.get(fold(spelling), [])
            if len({path.stem for path in alike}) == 1:
                return alike
        return []

    def has(self, name: str) -> bool:
        """Return whether a file has exactly this name or stem, but for the form of Unicode."""
        return normal(name) in self._by_name or normal(name) in self._by_stem

    def same_but_for_case(self) -> list[list[Path]]:
        """Return the files whose stems differ in capitals only."""
        return [
            paths
            for paths in self._folded.values()
            if len({normal(path.stem) for path in paths}) > 1
        ]


def _may_be_read(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_special(path)


def pair(images: PictureFiles, masks: PictureFiles, name: str, mask: str | None = None) -> Pair:
    """Return the frame of a name.

    Args:
        images: The pictures.
        masks: The masks.
        name: The picture's name, or its stem.
        mask: The mask's name, where it is not the picture's.
    """
    files = images.find(name)
    stem = normal(files[0].stem) if files else name
    found = masks.find(mask or stem)
    image = files[0] if files else None
    rivals = tuple(files if len(files) > 1 else found if len(found) > 1 else ())
    return Pair(stem, image, found[0] if found else None, rivals)


def two_folders(images: Path, masks: Path) -> list[Pair]:
    """Pair the files of two folders that have the same stem; the lone ones come too."""
    image_files, mask_files = PictureFiles(images), PictureFiles(masks)
    pairs = [pair(image_files, mask_files, stem) for stem in image_files.stems]
    taken = {found.mask for found in pairs}
    for stem in mask_files.stems:
        lone = mask_files.find(stem)
        if lone[0] not in taken:
            pairs.append(Pair(stem, None, lone[0]))
    return sorted(pairs, key=lambda each: each.stem)
