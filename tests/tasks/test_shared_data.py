"""The real data sets, where they are present."""

from pathlib import Path

import numpy as np
import pytest

from larq_dense import tasks
from larq_dense.tasks import encodings
from larq_dense.tasks.dataset import DataSet


@pytest.mark.parametrize(
    ("name", "folder", "train", "val"),
    [
        ("cityscapes", "idd_lite", 1403, 204),
        ("cityscapes", "camvid", 367, 101),
        ("idd_lite", "idd_lite", 1403, 204),
        ("camvid", "camvid", 367, 101),
        ("kitti_road", "idd_lite", 1403, 204),
        ("ecssd", "objects", 2744, 316),
        ("ecssd", "people", 203, 29),
        ("ecssd", "horses", 230, 32),
    ],
)
def test_folders_are_read(shared_data: Path, name: str, folder: str, train: int, val: int) -> None:
    task = tasks.get(name)
    root = shared_data / folder
    assert len(task.samples(root, "train")) == train
    samples = task.samples(root, "val")
    assert len(samples) == val
    seen: set[int] = set()
    for sample in samples[::8]:
        seen |= set(np.unique(task.read_label(sample)).tolist())
    assert seen - {255} == set(range(len(task.classes)))


def test_salient_like_pictures(shared_data: Path) -> None:
    task = tasks.get("ecssd")
    both = [
        len(task.samples(shared_data / "objects", split, within="salient_like"))
        for split in ("train", "val")
    ]
    assert sum(both) == 1961


def test_kitti_fixture(shared_data: Path) -> None:
    task = tasks.get("kitti_road")
    samples = task.samples(shared_data / "kitti_road_tiny", "train")
    assert [sample.stem for sample in samples] == ["um_000000", "um_000001"]
    label = task.read_label(samples[0])
    assert (int((label == 1).sum()), int((label == 255).sum())) == (61316, 5470)


def test_cityscapes_fixture_agrees_with_its_label_ids(shared_data: Path) -> None:
    """The same frame by train ids and by label ids: but for edges, each was scaled by itself."""
    root = shared_data / "cityscapes_mini"
    task = tasks.get("cityscapes19")
    (sample,) = task.samples(root, "val")
    by_ids = tasks.Sample(
        sample.stem,
        sample.image,
        root / f"{sample.stem}_labelIds.png",
        encodings.get("cityscapes_label_ids"),
    )
    agreeing = task.read_label(sample) == task.read_label(by_ids)
    assert agreeing.mean() > 0.997


@pytest.mark.parametrize(
    ("folder", "encoding"),
    [
        ("idd_lite", "idd_lite"),
        ("camvid", "camvid"),
        ("objects", "objects"),
        ("people", "people"),
        ("horses", "horses"),
        ("kitti_road_tiny", "kitti_ego_lane"),
        ("cityscapes_mini", "cityscapes_train_ids"),
    ],
)
def test_encodings_are_told_without_a_task(shared_data: Path, folder: str, encoding: str) -> None:
    assert DataSet.open(shared_data / folder).encoding.name == encoding
