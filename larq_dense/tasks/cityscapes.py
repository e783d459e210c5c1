"""Cityscapes (Cordts et al., CVPR 2016): the drivable area, and the 19 classes."""

from pathlib import Path
from typing import Any

import numpy as np

from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.data_sets import DataSet, register_data_set
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair, folders
from larq_dense.tasks.metrics import SegmentationMetrics, class_iou
from larq_dense.tasks.registry import register_task
from larq_dense.tasks.task import Task

_IMAGES, _MASKS = "leftImg8bit", "gtFine"
_IMAGE_END, _MASK_END = "_leftImg8bit.png", "_gtFine_labelIds.png"


def _matches(root: Path) -> bool:
    return any((root / _IMAGES).glob(f"*/*/*{_IMAGE_END}"))


def _splits(root: Path) -> list[str]:
    return folders(root / _IMAGES)


def _pairs(root: Path, split: str) -> list[Pair]:
    images = sorted((root / _IMAGES / split).glob(f"*/*{_IMAGE_END}"))
    pairs = []
    for image in images:
        stem = image.name.removesuffix(_IMAGE_END)
        mask = root / _MASKS / split / image.parent.name / f"{stem}{_MASK_END}"
        pairs.append(Pair(stem, image, mask if mask.is_file() else None))
    return pairs


@register_data_set("cityscapes")
def data_set() -> DataSet:
    """Return Cityscapes' labels, by train ids and by label ids, and its layout."""
    from cityscapesscripts.helpers.labels import labels

    evaluated = [label for label in labels if not label.ignoreInEval]
    void = frozenset(label.id for label in labels if label.ignoreInEval and label.id >= 0)
    by_train_id = {label.trainId: label.name for label in evaluated}
    by_id = {label.id: label.name for label in evaluated}
    return DataSet(
        (
            Encoding("cityscapes_train_ids", by_train_id, hints=("cityscapes",)),
            Encoding("cityscapes_label_ids", by_id, void),
        ),
        (Layout("Cityscapes", "cityscapes_label_ids", _matches, _splits, _pairs),),
    )


class CategoryMetrics(SegmentationMetrics):
    """The 19 classes' measures, and those of the benchmark's 7 categories.

    As in the official script, a category is measured as if its classes were one.
    """

    def result(self) -> dict[str, Any]:
        """Sum up; `per_category` holds the IoU of each, `category_miou` their mean."""
        from cityscapesscripts.helpers.labels import name2label

        categories = [name2label[name].category for name in self.class_names]
        names = list(dict.fromkeys(categories))
        belongs = np.array([[category == name for name in names] for category in categories])
        iou = class_iou(belongs.T.astype(np.int64) @ self.confusion @ belongs.astype(np.int64))
        result = super().result()
        result["metrics"]["category_miou"] = float(np.nanmean(iou))
        result["per_category"] = {
            name: {"iou": None if np.isnan(value) else float(value)}
            for name, value in zip(names, iou, strict=True)
        }
        return result


_DRIVABLE = {"road": "drivable"}


@register_task("cityscapes")
def drivable_area() -> Task:
    """Return the 2-class task: what may be driven on, against all else.

    Drivable is the class road; the classes that Cityscapes leaves out of its evaluation, parking
    among them, are ignored. Mean IoU is over both classes. That these two classes are the paper's
    task is this project's reading.
    """
    return Task(
        name="cityscapes",
        title="drivable area in street scenes (2 classes)",
        classes=(ClassInfo("background", (0, 0, 0)), ClassInfo("drivable", (128, 64, 128))),
        class_maps={
            "cityscapes_label_ids": _DRIVABLE,
            "cityscapes_train_ids": _DRIVABLE,
            "kitti_road": _DRIVABLE,
            "kitti_road_colors": _DRIVABLE,
            "camvid": _DRIVABLE,
            "idd_lite": {"drivable": "drivable"},
            "binary": {"object": "drivable"},
        },
    )


@register_task("cityscapes19")
def nineteen_classes() -> Task:
    """Return the benchmark's own task: the 19 evaluated classes by their train ids."""
    from cityscapesscripts.helpers.labels import labels

    evaluated = sorted((label.trainId, label) for label in labels if not label.ignoreInEval)
    return Task(
        name="cityscapes19",
        title="the 19 classes of Cityscapes",
        classes=tuple(ClassInfo(label.name, label.color) for _, label in evaluated),
        metrics=CategoryMetrics,
    )
