"""The plain folder: `images/`, `masks/`, split lists `NAME.txt`, perhaps `classes.yaml`."""

import re
from pathlib import Path

from larq_dense.common.errors import DataError
from larq_dense.tasks import data_sets
from larq_dense.tasks.classes import has_classes, read_classes
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Pair, PictureFiles, pair
from larq_dense.tasks.masks import read_values, values_in
from larq_dense.tasks.names import columns, is_hidden, normal, read_lines

# Enough masks to meet a data set's frequent classes, few enough to read in a moment.
GUESS_FROM = 16
# The split of every picture, in a list or not.
ALL = "all"


def matches(root: Path) -> bool:
    """Whether `root` is a plain folder."""
    return (root / "images").is_dir()


def lists(root: Path) -> list[str]:
    """Return the names of the split lists."""
    paths = root.glob("*.txt")
    return sorted(path.stem for path in paths if path.is_file() and not is_hidden(path))


def read_list(root: Path, split: str, masks: PictureFiles | None = None) -> list[Pair]:
    """Return the frames that a list names, in its order.

    A line is a picture's name or path, with or without its ending, or that and its mask's. A line
    that begins with # and names no picture is a remark. A line that names two pictures, or a mask
    that is not there or another picture's, gives a frame without a picture.

    Args:
        root: The folder.
        split: The list's name; `"all"` is every picture where there is no such list.
        masks: The masks; none where they do not matter.

    Raises:
        DataError: There is no such list.
    """
    path = root / f"{split}.txt"
    images = PictureFiles(root / "images")
    masks = masks or PictureFiles(root / "masks")
    if path.is_file():
        found = (_frame(line, images, masks) for line in read_lines(path) if line)
        return [frame for frame in found if frame is not None]
    if split == ALL:
        return [pair(images, masks, stem) for stem in images.stems]
    raise DataError(
        f"{root} has no split {split!r}; it has {', '.join([*lists(root), ALL])} "
        f"(a split is a file {split}.txt with one picture's name a line)."
    )


def _frame(line: str, images: PictureFiles, masks: PictureFiles) -> Pair | None:
    if images.has(line):
        return pair(images, masks, line)
    found = [(image, mask) for image, mask in columns(line) if images.find(image)]
    for image, mask in found:
        if masks.find(mask):
            frame = pair(images, masks, image, mask)
            others = images.find(masks.find(mask)[0].stem)
            is_anothers = bool(others) and normal(others[0].stem) != frame.stem
            return Pair(line, None, None) if is_anothers else frame
    if not images.find(line):
        return None if line.startswith("#") else Pair(line, None, None)
    return pair(images, masks, line)


def mask_folder(root: Path, encoding: Encoding) -> Path:
    """Return where `root` keeps masks of `encoding`."""
    own = root / encoding.mask_folder
    return own if own.is_dir() else root / "masks"


def pairs(root: Path, split: str, encoding: Encoding) -> list[Pair]:
    """Return the frames of one split in their order.

    Where the encoding has a mask folder of its own, it may cover only a part of the pictures,
    and only those frames are returned.
    """
    folder = mask_folder(root, encoding)
    found = read_list(root, split, PictureFiles(folder))
    if folder.name != "masks":
        found = [frame for frame in found if frame.mask is not None]
    return found


def own_encoding(root: Path) -> Encoding | None:
    """Return what `classes.yaml` says, or None where there is none."""
    return read_classes(root).encoding if has_classes(root) else None


def hinted(folder: Path) -> list[Encoding]:
    """Return the encodings that a folder's name, or that of a link's target, points to."""
    # Whole words: "hidden" is no IDD, "personal" shows no person.
    words = set(re.findall("[a-z]+", f"{folder.absolute().name} {folder.resolve().name}".lower()))
    return [each for each in data_sets.encodings().values() if words.intersection(each.hints)]


def values_seen(root: Path) -> set[int]:
    """Return the values of a few masks, evenly chosen; unreadable ones are passed over."""
    files = PictureFiles(root / "masks")
    seen: set[int] = set()
    for stem in files.stems[:: max(len(files.stems) // GUESS_FROM, 1)]:
        try:
            seen |= values_in(read_values(files.find(stem)[0]))
        except DataError:
            continue
    return seen
