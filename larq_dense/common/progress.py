"""Progress on standard error, so that standard output holds results only."""

import sys
import time
from collections.abc import Iterable, Iterator
from operator import length_hint
from typing import TypeVar

import click

Item = TypeVar("Item")

LINE_SECONDS = 20.0
"""At most so often a line is written where standard error is no terminal."""


def progress(items: Iterable[Item], text: str, length: int | None = None) -> Iterator[Item]:
    """Pass items on under a bar with the time left; into a file, write a line now and then.

    What takes less than `LINE_SECONDS` writes no line.

    Args:
        items: What is worked on.
        text: What is done, in a word or two.
        length: How many there are, where `items` cannot tell.
    """
    if not sys.stderr.isatty():
        yield from _in_lines(items, text, length or length_hint(items))
        return
    with click.progressbar(items, length, label=text, file=sys.stderr) as bar:
        yield from bar


def _in_lines(items: Iterable[Item], text: str, length: int) -> Iterator[Item]:
    written = time.monotonic()
    total = f" of {length}" if length else ""
    for done, item in enumerate(items):
        if time.monotonic() - written >= LINE_SECONDS:
            written = time.monotonic()
            click.echo(f"{text}: {done}{total} done", err=True)
        yield item
