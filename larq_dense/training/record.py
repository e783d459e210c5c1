"""What a training really read: its folders, lists and encodings, kept next to its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from larq_dense.tasks.sources import find_layout, find_pairs, layouts_of

if TYPE_CHECKING:
    from larq_dense.tasks import Task
    from larq_dense.training.recipe import Recipe
    from larq_dense.training.run import FindRun
    from larq_dense.training.settings import SourceSettings


class Read(TypedDict):
    """One list of pictures that a training read.

    Attributes:
        folder: As the recipe names it.
        split: The list.
        layout: The published layout that the folder is in; None for a plain folder.
        encoding: How its masks are encoded; None where none were read.
        pictures: Pictures on the list.
        names: Identifies the list: the first 16 hexadecimal digits of the SHA-256 of its sorted
            names, joined by newlines.
    """

    folder: str
    split: str
    layout: str | None
    encoding: str | None
    pictures: int
    names: str


def record(recipe: Recipe, task: Task, root: Path, find: FindRun) -> list[Read]:
    """Return what a training reads, and what the trainings that it started from have read.

    Args:
        recipe: The training.
        task: Its task.
        root: The data root.
        find: Finds the runs that the recipe begins with and learns from.
    """
    data = recipe.data
    found = [labelled(source, task, root) for source in (*data.train, *data.validation)]
    for source in data.unlabelled:
        stems = [sample.stem for sample in recipe.read_unlabelled(task, root, source)]
        read = _read(source.folder, source.split or "all", stems)
        found.append(read)
    for before in (recipe.init, *recipe.teachers):
        # A file of weights has no record.
        if before is not None and not Path(before).is_file():
            found += find(before).read()
    return list({(read["folder"], read["split"], read["names"]): read for read in found}.values())


def labelled(source: SourceSettings, task: Task, root: Path) -> Read:
    """Return what is read of one source with masks."""
    folder = root / source.folder
    pairs, encoding = find_pairs(task, folder, source.split, source.labels)
    read = _read(source.folder, source.split, [pair.stem for pair in pairs])
    layout = find_layout(folder, layouts_of(task))
    read["layout"], read["encoding"] = layout.name if layout else None, encoding.name
    return read


def _read(folder: str, split: str, stems: Iterable[str]) -> Read:
    names = sorted(set(stems))
    return Read(
        folder=folder,
        split=split,
        layout=None,
        encoding=None,
        pictures=len(names),
        names=digest(names),
    )


def digest(stems: Iterable[str]) -> str:
    """Return what identifies a list of names."""
    text = "\n".join(sorted(stems))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
