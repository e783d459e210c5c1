"""KITTI road (Fritsch et al., ITSC 2013): the road ahead, in the camera's perspective view."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.images import read_image
from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.data_sets import DataSet, register_data_set
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair, PictureFiles
from larq_dense.tasks.metrics import RoadMetrics
from larq_dense.tasks.registry import register_task
from larq_dense.tasks.task import Task

# The benchmark labels only its training frames (95 um, 96 umm, 98 uu), so a part is held out:
# of each category the last fifth. A block of numbers, since frames close in number are often
# close on the street; a fixed one, so that a missing file moves no frame to the other side.
HELD_OUT_FROM = {"um": 76, "umm": 77, "uu": 78}


def _training(root: Path) -> Path:
    places = (root, root / "training", root / "data_road" / "training")
    return next((place for place in places if (place / "gt_image_2").is_dir()), root)


def _matches(root: Path) -> bool:
    training = _training(root)
    return (training / "image_2").is_dir() and (training / "gt_image_2").is_dir()


def _splits(root: Path) -> list[str]:
    return ["train", "val", "all"]


def held_out(stem: str) -> bool:
    """Whether a frame such as `um_000080` belongs to the validation split."""
    category, _, number = stem.partition("_")
    return int(number) >= HELD_OUT_FROM[category]


def _is_frame(stem: str) -> bool:
    category, _, number = stem.partition("_")
    return category in HELD_OUT_FROM and number.isdecimal()


def _pairs(root: Path, split: str) -> list[Pair]:
    training = _training(root)
    pairs = []
    images = PictureFiles(training / "image_2")
    for stem in images.stems:
        if not _is_frame(stem) or (split != "all" and held_out(stem) != (split == "val")):
            continue
        category, _, number = stem.partition("_")
        mask = training / "gt_image_2" / f"{category}_road_{number}.png"
        pairs.append(Pair(stem, images.find(stem)[0], mask if mask.is_file() else None))
    return pairs


def read_colors(path: Path, white: int) -> NDArray[np.uint8]:
    """Read the benchmark's coloured masks as 0, 1 (road) and 255 (not evaluated).

    As in its development kit, a pixel is road where blue is set (magenta) and evaluated where red
    is set (magenta and red); black is left out.
    """
    colors = read_image(path)
    road, evaluated = colors[..., 2] > 0, colors[..., 0] > 0
    return np.where(evaluated, road.astype(np.uint8), np.uint8(255))


@register_data_set("kitti_road")
def data_set() -> DataSet:
    """Return KITTI's labels, by values and by colours, and its layout."""
    lane, road = {0: "background", 1: "ego lane"}, {0: "background", 1: "road"}
    return DataSet(
        (
            Encoding("kitti_ego_lane", lane, hints=("kitti",)),
            Encoding("kitti_road", road, hints=("kitti",), mask_folder="masks_road"),
            Encoding("kitti_road_colors", road, reader=read_colors),
        ),
        (Layout("KITTI road", "kitti_road_colors", _matches, _splits, _pairs),),
    )


_ROAD = {"road": "road"}


@register_task("kitti_road")
def road() -> Task:
    """Return the task of telling the road from all else.

    Its measures are in perspective view; see `RoadMetrics` on the leaderboard's other view.
    """
    return Task(
        name="kitti_road",
        title="road in the camera's perspective view (2 classes)",
        classes=(ClassInfo("background", (0, 0, 0)), ClassInfo("road", (255, 0, 255))),
        main_metric="maxf",
        class_maps={
            "kitti_road": _ROAD,
            "kitti_road_colors": _ROAD,
            "cityscapes_label_ids": _ROAD,
            "cityscapes_train_ids": _ROAD,
            "camvid": _ROAD,
            "idd_lite": {"drivable": "road"},
            "binary": {"object": "road"},
        },
        metrics=RoadMetrics,
    )
