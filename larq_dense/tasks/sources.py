"""From a folder to its frames: which layout it is in and how its labels are encoded."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, UnknownNameError
from larq_dense.tasks import data_sets, plain
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair


class ReadsLabels(Protocol):
    """What finding frames asks of a task."""

    @property
    def name(self) -> str:
        """The task's name."""

    @property
    def own_encoding(self) -> Encoding:
        """Masks whose values are the task's class ids."""

    def reads(self, encoding: Encoding) -> bool:
        """Whether labels of `encoding` say what the task needs."""

    def lookup(self, encoding: Encoding) -> NDArray[np.int16]:
        """Return the class id of each mask value."""


@dataclass(frozen=True)
class Sample:
    """One frame of a data set.

    Attributes:
        stem: Its name, unique in its split.
        image: The picture's file.
        mask: The mask's file; None where there is none.
        encoding: What the mask's values mean.

    Examples:
        >>> from larq_dense import tasks
        >>> sample = tasks.from_folder("cracks").samples("cracks", "val")[0]
        >>> sample.stem, sample.mask.name
        ('val_0', 'val_0.png')
    """

    stem: str
    image: Path
    mask: Path | None
    encoding: Encoding


@dataclass(frozen=True)
class DataSource:
    """One of several folders that a model learns from or is measured on.

    Attributes:
        folder: The folder, relative to the data root.
        split: The split's name.
        labels: Name of the label encoding, where it cannot be told.
        within: Another list of the folder to which the split is limited.
        repeat: How often each frame occurs.

    Examples:
        >>> from larq_dense import tasks
        >>> source = DataSource("cracks", "train", repeat=2)
        >>> len(tasks.from_folder("cracks").join(".", [source]))
        4
    """

    folder: str
    split: str
    labels: str | None = None
    within: str | None = None
    repeat: int = 1


def layouts_of(task: ReadsLabels) -> list[Layout]:
    """Return the published layouts whose labels a task reads."""
    return [
        layout
        for layout in data_sets.layouts()
        if task.reads(data_sets.get_encoding(layout.encoding))
    ]


def find_layout(root: Path, layouts: Iterable[Layout]) -> Layout | None:
    """Return the published layout in which `root` lies, None for a plain folder.

    Raises:
        DataError: It lies in none.
    """
    if not root.is_dir():
        raise DataError(f"no such folder: {root}.")
    layouts = list(layouts)
    for layout in layouts:
        if layout.matches(root):
            return layout
    if plain.matches(root):
        return None
    published = ", ".join(layout.name for layout in layouts)
    raise DataError(
        f"{root} is in no layout that can be read here: "
        f"{published + ' as published, or ' if published else ''}a folder with images/, masks/ "
        "and lists such as train.txt."
    )


def find_encoding(task: ReadsLabels, root: Path, labels: str | None) -> Encoding:
    """Tell how a plain folder's labels are encoded.

    `classes.yaml` says it; else `labels`; else the folder's name; else the values of the masks.

    Raises:
        DataError: It cannot be told, or the task cannot read it.
    """
    own = plain.own_encoding(root)
    if own is not None:
        return _suitable(task, root, [own])
    if labels is not None:
        known = {task.name: task.own_encoding, **data_sets.encodings()}
        if labels not in known:
            raise UnknownNameError("label encoding", labels, known)
        return _suitable(task, root, [known[labels]])
    by_name = plain.hinted(root)
    return _suitable(task, root, by_name) if by_name else _by_content(task, root)


def _suitable(task: ReadsLabels, root: Path, candidates: list[Encoding]) -> Encoding:
    for encoding in candidates:
        if task.reads(encoding):
            return encoding
    names = ", ".join(sorted(set(candidates[0].values.values())))
    raise DataError(
        f"the task {task.name} cannot use the labels of {root} ({candidates[0].name}: {names}); "
        "choose another task, or say otherwise in a classes.yaml there."
    )


def _by_content(task: ReadsLabels, root: Path) -> Encoding:
    seen = plain.values_seen(root)
    own = task.own_encoding
    others = [encoding for encoding in data_sets.encodings().values() if task.reads(encoding)]
    fitting = [encoding for encoding in (own, *others) if encoding.knows(seen)]
    # Masks that show but one class tell nothing: under the right encoding there are two.
    telling = [encoding for encoding in fitting if len(seen & encoding.values.keys()) > 1]
    telling = telling or fitting or [own]
    for encoding in telling:
        if encoding.name == own.name:
            return encoding
    # What fits the masks may still be told apart by where the folder lies: camvid/test.
    above = [encoding for encoding in telling if encoding in plain.hinted(root.absolute().parent)]
    telling = above or telling
    tables = {task.lookup(encoding)[sorted(seen)].tobytes() for encoding in telling}
    if len(tables) > 1:
        names = ", ".join(encoding.name for encoding in telling)
        raise DataError(
            f"the labels of {root} may be any of {names}; name the encoding (`labels`), or write "
            "a classes.yaml there."
        )
    return telling[0]


def find_pairs(
    task: ReadsLabels, root: Path, split: str, labels: str | None = None
) -> tuple[list[Pair], Encoding]:
    """Return the frames of one split, complete or not, and their label encoding.

    Raises:
        DataError: See `Task.samples`.
    """
    layout = find_layout(root, layouts_of(task))
    if layout is None:
        encoding = find_encoding(task, root, labels)
        return plain.pairs(root, split, encoding), encoding
    splits = layout.splits(root)
    if split not in splits:
        raise DataError(f"{root} has no split {split!r}; it has {', '.join(splits) or 'none'}.")
    return layout.pairs(root, split), data_sets.get_encoding(layout.encoding)


def find_samples(
    task: ReadsLabels,
    root: Path,
    split: str,
    *,
    labels: str | None = None,
    within: str | None = None,
) -> list[Sample]:
    """Find the frames of one split; see `Task.samples`."""
    pairs, encoding = find_pairs(task, root, split, labels)
    if within is not None:
        kept = {pair.image for pair in plain.read_list(root, within)}
        pairs = [pair for pair in pairs if pair.image in kept]
    samples = [_sample(pair, root, split, encoding) for pair in pairs]
    if not samples:
        limit = f" within {within!r}" if within else ""
        raise DataError(
            f"the split {split!r}{limit} of {root} is empty; fill it or choose another."
        )
    return samples


def _sample(pair: Pair, root: Path, split: str, encoding: Encoding) -> Sample:
    if pair.image is None:
        raise DataError(f"{root} has no image for {pair.stem!r} of its split {split!r}.")
    if pair.rivals:
        raise DataError(rivals_sentence(pair))
    if pair.mask is None:
        raise DataError(
            f"the image {pair.image} has no mask; add one or take it off the split {split!r}."
        )
    return Sample(pair.stem, pair.image, pair.mask, encoding)


def rivals_sentence(pair: Pair) -> str:
    """Say that one name means several files."""
    names = " and ".join(str(path) for path in pair.rivals)
    return (
        f"{names} have one name, so that nobody can tell which one is meant; rename one, or write "
        "the picture's ending into the list."
    )
