"""The real data sets, where they are present."""

from pathlib import Path

import numpy as np
import pytest

from larq_dense import tasks
from larq_dense.tasks.data_sets import get_encoding
from larq_dense.tasks.folder import Folder


@pytest.mark.parametrize(
    ("name", "folder", "train", "val"),
    [
        ("cityscapes", "idd_lite", 1403, 204),
        ("cityscapes", "camvid", 367, 101),
        ("idd_lite", "idd_lite", 1403, 204),
        ("camvid", "camvid", 367, 101),
        ("kitti_road", "idd_lite", 1403, 204),
        ("cityscapes", "cityscapes256", 2975, 499),
        ("ecssd", "duts", 9986, 556),
        ("ecssd", "ccp", 903, 100),
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


@pytest.mark.parametrize(
    ("folder", "split", "within", "count"),
    [
        ("objects", "val", None, 316),
        ("objects", "val", "salient_like", 192),
        ("ecssd", "test", None, 1000),
    ],
)
def test_salient_objects(
    shared_data: Path, folder: str, split: str, within: str | None, count: int
) -> None:
    task = tasks.get("ecssd")
    samples = task.samples(shared_data / folder, split, within=within)
    assert len(samples) == count
    assert set(np.unique(task.read_label(samples[0]))) == {0, 1}


def test_nineteen_classes_of_the_small_cityscapes(shared_data: Path) -> None:
    task = tasks.get("cityscapes19")
    samples = task.samples(shared_data / "cityscapes256", "val")
    seen = {int(v) for s in samples[::25] for v in np.unique(task.read_label(s))}
    assert len(seen - {255}) >= 15
    assert seen <= {*range(19), 255}


def test_own_classes_of_the_cracks(shared_data: Path) -> None:
    root = shared_data / "cracks"
    task = tasks.from_folder(root)
    assert [len(task.samples(root, split)) for split in ("train", "val", "test")] == [262, 38, 237]


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
        get_encoding("cityscapes_label_ids"),
    )
    agreeing = task.read_label(sample) == task.read_label(by_ids)
    assert agreeing.mean() > 0.997


@pytest.mark.parametrize(
    ("folder", "encoding"),
    [
        ("idd_lite", "idd_lite"),
        ("camvid", "camvid"),
        ("objects", "objects"),
        ("duts", "gray"),
        ("ecssd", "gray"),
        ("ccp", "people"),
        ("cityscapes256", "cityscapes_train_ids"),
        ("cracks", "classes.yaml"),
        ("people", "people"),
        ("horses", "horses"),
        ("kitti_road_tiny", "kitti_ego_lane"),
        ("cityscapes_mini", "cityscapes_train_ids"),
    ],
)
def test_encodings_are_told_without_a_task(shared_data: Path, folder: str, encoding: str) -> None:
    assert Folder.open(shared_data / folder).encoding.name == encoding
