"""Tasks: their names, outputs, colours and decisions."""

import subprocess
import sys

import numpy as np
import pytest

from larq_dense import tasks
from larq_dense.common.errors import DataError, UnknownNameError


@pytest.mark.parametrize("name", tasks.names())
def test_task_is_consistent(name: str) -> None:
    task = tasks.get(name)
    assert task.name == name
    assert task.palette.shape == (len(task.classes), 3)
    assert task.palette.dtype == np.uint8
    assert len(set(task.class_names)) == len(task.classes)
    assert len({info.color for info in task.classes}) == len(task.classes)
    assert task.num_outputs == (1 if task.kind == "saliency" else len(task.classes))
    perfect = np.zeros((4, 4), np.uint8)
    perfect[2:] = len(task.classes) - 1
    metrics = task.new_metrics()
    metrics.update(perfect, perfect, (perfect > 0).astype(np.float32))
    result = metrics.result()
    assert result["metrics"][task.main_metric] == pytest.approx(1)
    assert result["images"] == 1
    assert list(result["per_class"]) == list(task.class_names)


@pytest.mark.parametrize(
    ("name", "classes", "outputs", "metric"),
    [
        ("cityscapes", 2, 2, "miou"),
        ("cityscapes19", 19, 19, "miou"),
        ("kitti_road", 2, 2, "maxf"),
        ("ecssd", 2, 1, "maxf"),
        ("camvid", 11, 11, "miou"),
        ("idd_lite", 7, 7, "miou"),
    ],
)
def test_task_has_its_classes(name: str, classes: int, outputs: int, metric: str) -> None:
    task = tasks.get(name)
    assert (len(task.classes), task.num_outputs, task.main_metric) == (classes, outputs, metric)


def test_drivable_and_road_are_the_second_class() -> None:
    assert tasks.get("cityscapes").class_names == ("background", "drivable")
    assert tasks.get("kitti_road").class_names == ("background", "road")


def test_nineteen_classes_are_the_benchmarks() -> None:
    names = tasks.get("cityscapes19").class_names
    assert names[:3] == ("road", "sidewalk", "building")
    assert names[-1] == "bicycle"


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean camvid"):
        tasks.get("camvit")


def test_own_classes_make_a_task() -> None:
    task = tasks.from_classes(
        "floor", [tasks.ClassInfo("wet", (0, 0, 255)), tasks.ClassInfo("dry", (9, 9, 9))]
    )
    assert (task.name, task.num_outputs, task.main_metric) == ("floor", 2, "miou")


@pytest.mark.parametrize("name", ["ecssd", "camvid", "kitti_road"])
def test_nothing_measured_is_said(name: str) -> None:
    task = tasks.get(name)
    metrics = task.new_metrics()
    with pytest.raises(DataError, match="no labelled pixel"):
        metrics.result()
    unlabelled = np.full((3, 4), 255, np.uint8)
    nothing = np.zeros((3, 4), np.uint8)
    metrics.update(nothing, unlabelled, nothing.astype(np.float32))
    with pytest.raises(DataError, match="no labelled pixel"):
        metrics.result()


def test_importing_tasks_is_cheap() -> None:
    heavy = "tensorflow", "matplotlib", "skimage", "cityscapesscripts", "py_sod_metrics", "cv2"
    code = (
        "import sys, larq_dense.tasks, larq_dense.tasks.check, larq_dense.tasks.sheet;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
