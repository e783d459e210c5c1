"""Progress on standard error, so that standard output holds results only."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

Item = TypeVar("Item")


def progress(items: Iterable[Item], text: str, length: int | None = None) -> Iterator[Item]:
    """Pass items on under a bar with the time left; silent where nobody watches.

    Args:
        items: What is worked on.
        text: What is done, in a word or two.
        length: How many there are, where `items` cannot tell.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(items, length, label=text, file=sys.stderr) as bar:
        yield from bar
