"""The tasks by name, and tasks made from one's own classes."""

from collections.abc import Callable, Iterable
from pathlib import Path

from larq_dense.common.errors import UnknownNameError
from larq_dense.tasks import camvid, cityscapes, idd_lite, kitti_road, saliency
from larq_dense.tasks.classes import CLASSES_FILE, ClassInfo, read_classes
from larq_dense.tasks.layouts import Layout
from larq_dense.tasks.task import Task

_TASKS: dict[str, Callable[[], Task]] = {
    "camvid": camvid.eleven_classes,
    "cityscapes": cityscapes.drivable_area,
    "cityscapes19": cityscapes.nineteen_classes,
    "ecssd": saliency.salient_object,
    "idd_lite": idd_lite.seven_classes,
    "kitti_road": kitti_road.road,
}


def layouts() -> list[Layout]:
    """Return every published layout that some task reads."""
    found = [layout for make in _TASKS.values() for layout in make().layouts]
    return list(dict.fromkeys(found))


def names() -> list[str]:
    """Return the names of the tasks, sorted."""
    return sorted(_TASKS)


def get(name: str) -> Task:
    """Return a task by its name, or the task of a folder that has a `classes.yaml`.

    Raises:
        UnknownNameError: There is neither.
        DataError: The folder's `classes.yaml` is wrong.
    """
    if name in _TASKS:
        return _TASKS[name]()
    if (Path(name) / CLASSES_FILE).is_file():
        return from_folder(name)
    raise UnknownNameError("task", name, _TASKS)


def from_classes(name: str, classes: Iterable[ClassInfo]) -> Task:
    """Return a segmentation task of one's own classes."""
    classes = tuple(classes)
    return Task(name=name, title=f"{name} ({len(classes)} classes)", classes=classes)


def from_folder(root: str | Path) -> Task:
    """Return the task that the `classes.yaml` of a folder describes, named as the folder.

    Raises:
        DataError: The file is missing or wrong.
    """
    return from_classes(Path(root).resolve().name, read_classes(Path(root)).classes)
