"""CamVid (Brostow et al., 2008 and 2009) in the 11 classes and folders of the SegNet tutorial."""

from pathlib import Path

from larq_dense.common.errors import DataError
from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.data_sets import DataSet, register_data_set
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair, folders, two_folders
from larq_dense.tasks.names import read_lines
from larq_dense.tasks.registry import register_task
from larq_dense.tasks.task import Task

_MASK_END = "annot"
_CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
_COLORS = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)

# As the SegNet tutorial groups CamVid's own 32 classes: walls with buildings, lights with signs.
_OF_CITYSCAPES = {
    "sky": "sky",
    "building": "building",
    "wall": "building",
    "pole": "pole",
    "road": "road",
    "sidewalk": "pavement",
    "vegetation": "tree",
    "terrain": "tree",
    "traffic light": "sign",
    "traffic sign": "sign",
    "fence": "fence",
    "car": "car",
    "truck": "car",
    "bus": "car",
    "train": "car",
    "person": "pedestrian",
    "rider": "bicyclist",
    "motorcycle": "bicyclist",
    "bicycle": "bicyclist",
}


def _splits(root: Path) -> list[str]:
    names = set(folders(root))
    return sorted(name for name in names if f"{name}{_MASK_END}" in names)


def _matches(root: Path) -> bool:
    return bool(_splits(root))


def _listed(root: Path, path: str) -> Path | None:
    # The lists hold paths of their authors' machine; the last two parts are the data set's own.
    file = root.joinpath(*Path(path).parts[-2:])
    return file if file.is_file() else None


def _pairs(root: Path, split: str) -> list[Pair]:
    listing = root / f"{split}.txt"
    if not listing.is_file():
        return two_folders(root / split, root / f"{split}{_MASK_END}")
    pairs = []
    for number, line in enumerate(read_lines(listing), 1):
        paths = line.split()
        if paths and len(paths) != 2:
            raise DataError(
                f"line {number} of {listing} does not hold two paths, a picture's and its mask's."
            )
        if paths:
            pairs.append(
                Pair(Path(paths[0]).stem, _listed(root, paths[0]), _listed(root, paths[1]))
            )
    return pairs


@register_data_set("camvid")
def data_set() -> DataSet:
    """Return CamVid's labels and layout."""
    ignored = frozenset({11, 255})
    encoding = Encoding("camvid", dict(enumerate(_CLASSES)), ignored, hints=("camvid",))
    return DataSet((encoding,), (Layout("CamVid", "camvid", _matches, _splits, _pairs),))


@register_task("camvid")
def eleven_classes() -> Task:
    """Return the task of CamVid's 11 classes; the twelfth, void, is ignored.

    Cityscapes' 19 classes mean one of them each, so that its frames can be trained on, too.
    """
    return Task(
        name="camvid",
        title="street scenes of CamVid (11 classes)",
        classes=tuple(map(ClassInfo, _CLASSES, _COLORS)),
        class_maps={
            "cityscapes_label_ids": _OF_CITYSCAPES,
            "cityscapes_train_ids": _OF_CITYSCAPES,
        },
    )
