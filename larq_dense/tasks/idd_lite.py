"""IDD-Lite: the 7 level-1 classes of the India Driving Dataset (Varma et al., WACV 2019)."""

from pathlib import Path

from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.data_sets import DataSet, register_data_set
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair, folders
from larq_dense.tasks.registry import register_task
from larq_dense.tasks.task import Task

_IMAGES, _MASKS = "leftImg8bit", "gtFine"
_CLASSES = (
    "drivable",
    "non-drivable",
    "living things",
    "vehicles",
    "roadside objects",
    "far objects",
    "sky",
)
_COLORS = (
    (128, 64, 128),
    (244, 35, 232),
    (220, 20, 60),
    (0, 0, 142),
    (220, 190, 40),
    (70, 120, 70),
    (70, 130, 180),
)

# The level-1 class that IDD counts each of Cityscapes' classes to.
_OF_CITYSCAPES = {
    "road": "drivable",
    "sidewalk": "non-drivable",
    "terrain": "non-drivable",
    "person": "living things",
    "rider": "living things",
    "car": "vehicles",
    "truck": "vehicles",
    "bus": "vehicles",
    "train": "vehicles",
    "motorcycle": "vehicles",
    "bicycle": "vehicles",
    "wall": "roadside objects",
    "fence": "roadside objects",
    "pole": "roadside objects",
    "traffic light": "roadside objects",
    "traffic sign": "roadside objects",
    "building": "far objects",
    "vegetation": "far objects",
    "sky": "sky",
}


def _matches(root: Path) -> bool:
    return any((root / _IMAGES).glob("*/*/*_image.*"))


def _splits(root: Path) -> list[str]:
    return folders(root / _IMAGES)


def _pairs(root: Path, split: str) -> list[Pair]:
    pairs = []
    for image in sorted((root / _IMAGES / split).glob("*/*_image.*")):
        drive, frame = image.parent.name, image.stem.removesuffix("_image")
        mask = root / _MASKS / split / drive / f"{frame}_label.png"
        pairs.append(Pair(f"{split}_{drive}_{frame}", image, mask if mask.is_file() else None))
    return pairs


@register_data_set("idd_lite")
def data_set() -> DataSet:
    """Return IDD-Lite's labels and layout."""
    encoding = Encoding("idd_lite", dict(enumerate(_CLASSES)), hints=("idd", "iddlite"))
    return DataSet((encoding,), (Layout("IDD-Lite", "idd_lite", _matches, _splits, _pairs),))


@register_task("idd_lite")
def seven_classes() -> Task:
    """Return the task of IDD-Lite's 7 classes.

    Cityscapes' 19 classes mean one of them each, so that its frames can be trained on, too.
    """
    return Task(
        name="idd_lite",
        title="Indian street scenes (7 classes)",
        classes=tuple(map(ClassInfo, _CLASSES, _COLORS)),
        class_maps={
            "cityscapes_label_ids": _OF_CITYSCAPES,
            "cityscapes_train_ids": _OF_CITYSCAPES,
        },
    )
