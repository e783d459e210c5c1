"""Progress on standard error, so that standard output holds results only."""

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], text: str) -> Iterable[Item]:
    """Pass items on under a bar with the time left; silent where nobody watches.

    Args:
        items: What is worked on.
        text: What is done, in a word or two.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, text, console=console, disable=not console.is_terminal)
