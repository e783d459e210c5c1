"""Choosing a few of many."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """Return at most `count` items, evenly spaced over all of them.

    Example:
        >>> evenly_spaced("abcdef", 3)
        ['a', 'c', 'e']
    """
    kept = min(count, len(items))
    return [items[index * len(items) // kept] for index in range(kept)]
