"""How published and plain folders write labels into masks: which value means which class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import UnknownNameError
from larq_dense.common.images import read_image, read_mask

IDD_LITE_CLASSES = (
    "drivable",
    "non-drivable",
    "living things",
    "vehicles",
    "roadside objects",
    "far objects",
    "sky",
)
CAMVID_CLASSES = (
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


@dataclass(frozen=True)
class Encoding:
    """What the values of a mask file mean.

    Attributes:
        name: The encoding's name, as given to `labels=`.
        values: Class name of each labelled value.
        ignored: Values that mean "not labelled".
        hints: A plain folder whose name holds one of these words has this encoding.
        mask_folder: Where a plain folder keeps these masks, if not in `masks`.
        read: Reads a mask file as uint8 `[height, width]`.
    """

    name: str
    values: Mapping[int, str] = field(hash=False)
    ignored: frozenset[int] = frozenset({255})
    hints: tuple[str, ...] = ()
    mask_folder: str = "masks"
    read: Callable[[Path], NDArray[np.uint8]] = read_mask

    def knows(self, values: set[int]) -> bool:
        """Whether every one of `values` has a meaning."""
        return values <= self.values.keys() | self.ignored


def read_gray(path: Path) -> NDArray[np.uint8]:
    """Read a soft mask as 0 and 255, split where the measures of saliency split it (> 128)."""
    gray = read_image(path)[..., 0]
    return np.where(gray > 128, 255, 0).astype(np.uint8)


def read_road_colors(path: Path) -> NDArray[np.uint8]:
    """Read KITTI's coloured road masks as 0, 1 (road) and 255 (not evaluated).

    As in the benchmark's development kit, a pixel is road where blue is set (magenta) and
    evaluated where red is set (magenta and red); black is left out.
    """
    colors = read_image(path)
    road, evaluated = colors[..., 2] > 0, colors[..., 0] > 0
    return np.where(evaluated, road.astype(np.uint8), np.uint8(255))


def _objects(name: str, object_name: str, hints: tuple[str, ...]) -> Encoding:
    return Encoding(name, {0: "background", 255: object_name}, frozenset(), hints)


@cache
def known() -> dict[str, Encoding]:
    """Return every encoding that the tasks know, by name."""
    from cityscapesscripts.helpers.labels import labels

    evaluated = [label for label in labels if not label.ignoreInEval]
    void = frozenset(label.id for label in labels if label.ignoreInEval and label.id >= 0)
    encodings = (
        Encoding("idd_lite", dict(enumerate(IDD_LITE_CLASSES)), hints=("idd", "iddlite")),
        Encoding("camvid", dict(enumerate(CAMVID_CLASSES)), frozenset({11, 255}), ("camvid",)),
        Encoding(
            "cityscapes_train_ids",
            {label.trainId: label.name for label in evaluated},
            hints=("cityscapes",),
        ),
        Encoding("cityscapes_label_ids", {label.id: label.name for label in evaluated}, void),
        Encoding("kitti_ego_lane", {0: "background", 1: "ego lane"}, hints=("kitti",)),
        Encoding(
            "kitti_road",
            {0: "background", 1: "road"},
            hints=("kitti",),
            mask_folder="masks_road",
        ),
        Encoding("kitti_road_colors", {0: "background", 1: "road"}, read=read_road_colors),
        _objects("objects", "object", ("object", "objects")),
        _objects("people", "person", ("people", "person", "persons")),
        _objects("horses", "horse", ("horse", "horses")),
        _objects("binary", "object", ()),
        Encoding("gray", {0: "background", 255: "object"}, frozenset(), read=read_gray),
    )
    return {encoding.name: encoding for encoding in encodings}


def get(name: str) -> Encoding:
    """Return a known encoding.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in known():
        raise UnknownNameError("label encoding", name, known())
    return known()[name]
