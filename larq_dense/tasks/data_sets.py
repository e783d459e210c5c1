"""The data sets that are known by name: their label encodings and their published layouts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from larq_dense.common.errors import LarqDenseError, UnknownNameError
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set.

    Attributes:
        encodings: How its labels may be written.
        layouts: How its files lie where its authors publish it; a plain folder needs none.

    Examples:
        >>> rooms = DataSet((Encoding("rooms", {0: "floor", 1: "wall"}),))
        >>> rooms.encodings[0].name
        'rooms'
    """

    encodings: tuple[Encoding, ...]
    layouts: tuple[Layout, ...] = ()


_data_sets: dict[str, Callable[[], DataSet]] = {}


def register_data_set(name: str) -> Callable[[Callable[[], DataSet]], Callable[[], DataSet]]:
    """Return a decorator that makes a data set known.

    Args:
        name: Its name.

    Returns:
        A decorator for a function without arguments that makes the description.

    Raises:
        LarqDenseError: Another data set has that name.

    Examples:
        >>> from larq_dense import tasks
        >>> @tasks.register_data_set("workshop")
        ... def workshop():
        ...     labels = tasks.Encoding("workshop", {0: "floor", 1: "wall"}, hints=("workshop",))
        ...     return tasks.DataSet((labels,))
        >>> get_encoding("workshop").values
        {0: 'floor', 1: 'wall'}
    """

    def register(make: Callable[[], DataSet]) -> Callable[[], DataSet]:
        if name in _data_sets:
            raise LarqDenseError(f"there is a data set {name!r} already; choose another name.")
        _data_sets[name] = cache(make)
        return _data_sets[name]

    return register


def layouts() -> list[Layout]:
    """Return every published layout, in the order in which the data sets were registered."""
    return [layout for make in _data_sets.values() for layout in make().layouts]


def encodings() -> dict[str, Encoding]:
    """Return every label encoding by name."""
    found = (each for make in _data_sets.values() for each in make().encodings)
    return {encoding.name: encoding for encoding in found}


def get_encoding(name: str) -> Encoding:
    """Return a label encoding.

    Raises:
        UnknownNameError: There is none of that name.
    """
    known = encodings()
    if name not in known:
        raise UnknownNameError("label encoding", name, known)
    return known[name]
