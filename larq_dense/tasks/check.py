"""A look at a whole data set before a model does: what is missing, damaged or out of range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError
from larq_dense.common.images import read_image
from larq_dense.tasks.dataset import DataSet
from larq_dense.tasks.layouts import Pair
from larq_dense.tasks.sources import Sample

# Lists that must not share a frame; other lists, such as a choice of pictures, may.
_DISJOINT = ("train", "val", "test")


@dataclass(frozen=True)
class Problem:
    """Something to mend: the file, list or frame, and a sentence that names it."""

    file: str
    message: str


@dataclass(frozen=True)
class ClassShare:
    """How much of the labelled pixels is of one class, 0…1, and in how many pictures it is."""

    name: str
    share: float
    images: int


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        root: The folder.
        layout: The data set's layout.
        encoding: The label encoding.
        splits: Frames of each split.
        unlabelled: Splits of the published data set that have no masks at all.
        frames: Different frames altogether.
        usable: Frames whose picture and mask are both right.
        sizes: Pictures of each size `"width x height"`, the most frequent first.
        classes: The balance of the classes over the usable frames.
        ignored: Share of these frames' pixels that carries no label, 0…1.
        problems: What to mend.
    """

    root: str
    layout: str
    encoding: str
    splits: dict[str, int]
    unlabelled: list[str]
    frames: int
    usable: int
    sizes: dict[str, int]
    classes: list[ClassShare]
    ignored: float
    problems: list[Problem]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)


def check(
    data: DataSet,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, _: items,
) -> tuple[CheckReport, list[Sample]]:
    """Read every picture and mask of a data set.

    Args:
        data: The data set.
        progress: Wraps the frames while they are read, given their number.

    Returns:
        The report, and the usable frames.
    """
    splits = data.splits()
    unlabelled = data.unlabelled(splits)
    frames = data.frames(splits)
    without = {pair.stem for name in unlabelled for pair in splits[name]}
    tally = _Tally()

    def read(pair: Pair) -> _Frame:
        return _read(pair, data, needs_mask=pair.stem not in without)

    with ThreadPoolExecutor() as pool:
        for frame in progress(pool.map(read, frames), len(frames)):
            tally.add(frame)
    problems = _list_problems(splits) + tally.problems
    if not tally.samples and not problems:
        problems.append(Problem(str(data.root), "there is not one picture with its mask."))
    report = CheckReport(
        root=str(data.root),
        layout=data.layout.name if data.layout else "plain folder",
        encoding=data.encoding.name,
        splits={name: len(pairs) for name, pairs in splits.items()},
        unlabelled=unlabelled,
        frames=len(frames),
        usable=len(tally.samples),
        sizes=dict(tally.sizes.most_common()),
        classes=tally.shares(data),
        ignored=tally.ignored(len(data.task.classes)),
        problems=problems,
    )
    return report, tally.samples


def _list_problems(splits: dict[str, list[Pair]]) -> list[Problem]:
    problems = []
    for name, pairs in splits.items():
        if not pairs:
            problems.append(Problem(name, f"the split {name!r} is empty."))
        twice = [stem for stem, n in Counter(pair.stem for pair in pairs).items() if n > 1]
        problems.extend(Problem(name, f"{stem!r} stands twice in {name!r}.") for stem in twice)
    present = [name for name in _DISJOINT if name in splits]
    for index, first in enumerate(present):
        stems = {pair.stem for pair in splits[first]}
        for second in present[index + 1 :]:
            shared = dict.fromkeys(pair.stem for pair in splits[second] if pair.stem in stems)
            problems.extend(
                Problem(second, f"{stem!r} is in {first!r} and in {second!r}.") for stem in shared
            )
    return problems


@dataclass(frozen=True)
class _Frame:
    """What reading one frame gave: the picture's size, pixels by class id, and problems."""

    problems: list[Problem]
    size: str | None = None
    pixels: NDArray[np.int64] | None = None
    sample: Sample | None = None


def _read(pair: Pair, data: DataSet, needs_mask: bool) -> _Frame:
    if pair.image is None:
        if pair.mask is not None:
            message = f"the mask {pair.mask} has no image of its name."
            return _Frame([Problem(str(pair.mask), message)])
        return _Frame([Problem(pair.stem, f"{pair.stem!r} is in a list but has no image.")])
    try:
        height, width = read_image(pair.image).shape[:2]
    except DataError as error:
        return _Frame([Problem(str(pair.image), str(error))])
    size = f"{width} x {height}"
    if pair.mask is None and not needs_mask:
        return _Frame([], size)
    sample = Sample(pair.stem, pair.image, pair.mask, data.encoding)
    try:
        label = data.task.read_label(sample)
    except DataError as error:
        return _Frame([Problem(str(pair.mask or pair.image), str(error))], size)
    return _Frame([], size, np.bincount(label.ravel(), minlength=256), sample)


class _Tally:
    """Sums over the frames."""

    def __init__(self) -> None:
        self.pixels = np.zeros(256, np.int64)
        self.images = np.zeros(256, np.int64)
        self.sizes: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.problems: list[Problem] = []

    def add(self, frame: _Frame) -> None:
        """Add one frame."""
        self.problems.extend(frame.problems)
        if frame.size is not None:
            self.sizes[frame.size] += 1
        if frame.sample is not None and frame.pixels is not None:
            self.samples.append(frame.sample)
            self.pixels += frame.pixels
            self.images += frame.pixels > 0

    def shares(self, data: DataSet) -> list[ClassShare]:
        """Return each class's share of the labelled pixels; of nameless ones those that occur."""
        names = data.task.class_names
        labelled = max(int(self.pixels[: len(names)].sum()), 1)
        return [
            ClassShare(name, float(self.pixels[index] / labelled), int(self.images[index]))
            for index, name in enumerate(names)
            if data.names_known or self.images[index]
        ]

    def ignored(self, classes: int) -> float:
        """Return the share of pixels without a label."""
        total = max(int(self.pixels.sum()), 1)
        return float(self.pixels[classes:].sum() / total)
