"""The tasks by name, and tasks made from one's own classes."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from larq_dense.common.errors import LarqDenseError, UnknownNameError
from larq_dense.tasks.classes import ClassInfo, has_classes, read_classes
from larq_dense.tasks.task import Task

_TASKS: dict[str, Callable[[], Task]] = {}


def register_task(name: str) -> Callable[[Callable[[], Task]], Callable[[], Task]]:
    """Return a decorator that makes a task known by name, to Python and to recipes.

    Args:
        name: Its name.

    Returns:
        A decorator for a function without arguments that makes the task.

    Raises:
        LarqDenseError: Another task has that name.

    Examples:
        >>> from larq_dense import tasks
        >>> @tasks.register_task("floor")
        ... def floor():
        ...     classes = tasks.ClassInfo("dry", (0, 0, 0)), tasks.ClassInfo("wet", (0, 0, 255))
        ...     return tasks.Task("floor", "wet floor", classes)
        >>> tasks.get("floor").num_outputs
        2
    """

    def register(make: Callable[[], Task]) -> Callable[[], Task]:
        if name in _TASKS:
            raise LarqDenseError(f"there is a task {name!r} already; choose another name.")
        _TASKS[name] = cache(make)
        return _TASKS[name]

    return register


def names() -> list[str]:
    """Return the names of the tasks, sorted.

    Returns:
        Names that `get` and a recipe's `task` take.

    Examples:
        >>> "cityscapes" in names()
        True
    """
    return sorted(_TASKS)


def get(name: str) -> Task:
    """Return a task by its name, or the task of a folder that has a `classes.yaml`.

    Args:
        name: A task's name, or a folder's path.

    Returns:
        The task.

    Raises:
        UnknownNameError: There is neither.
        DataError: The folder's `classes.yaml` is wrong.

    Examples:
        >>> from larq_dense import tasks
        >>> tasks.get("ecssd").class_names
        ('background', 'object')
    """
    if name in _TASKS:
        return _TASKS[name]()
    if has_classes(Path(name)):
        return from_folder(name)
    raise UnknownNameError("task", name, _TASKS)


def from_classes(name: str, classes: Iterable[ClassInfo]) -> Task:
    """Return a segmentation task of one's own classes.

    Args:
        name: The task's name.
        classes: Its classes in the order of their ids, from 0.

    Returns:
        The task, which is measured by mIoU.

    Examples:
        >>> classes = ClassInfo("background", (0, 0, 0)), ClassInfo("crack", (255, 80, 0))
        >>> from_classes("cracks", classes).main_metric
        'miou'
    """
    classes = tuple(classes)
    return Task(name=name, title=f"{name} ({len(classes)} classes)", classes=classes)


def from_folder(root: str | Path) -> Task:
    """Return the task that the `classes.yaml` of a folder describes, named as the folder.

    Args:
        root: The folder.

    Returns:
        The task, which is measured by mIoU.

    Raises:
        DataError: The file is missing or wrong.

    Examples:
        >>> from_folder("cracks").class_names
        ('background', 'crack')
    """
    return from_classes(Path(root).resolve().name, read_classes(Path(root)).classes)
