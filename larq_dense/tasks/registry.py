"""The tasks by name, and tasks made from one's own classes."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from larq_dense.common.errors import LarqDenseError, UnknownNameError
from larq_dense.tasks.classes import CLASSES_FILE, ClassInfo, read_classes
from larq_dense.tasks.task import Task

_TASKS: dict[str, Callable[[], Task]] = {}


def register_task(name: str) -> Callable[[Callable[[], Task]], Callable[[], Task]]:
    """Return a decorator that makes a task known by name, to Python and to recipes.

    Example:
        >>> @register_task("floor")                          # doctest: +SKIP
        ... def floor() -> Task:
        ...     classes = ClassInfo("dry", (0, 0, 0)), ClassInfo("wet", (0, 0, 255))
        ...     return Task("floor", "wet floor", classes)

    Args:
        name: Its name.

    Raises:
        LarqDenseError: Another task has that name.
    """

    def register(make: Callable[[], Task]) -> Callable[[], Task]:
        if name in _TASKS:
            raise LarqDenseError(f"there is a task {name!r} already; choose another name.")
        _TASKS[name] = cache(make)
        return _TASKS[name]

    return register


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
