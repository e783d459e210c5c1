"""A look at a whole data set before a model does: what is missing, damaged or out of range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError
from larq_dense.common.images import read_image
from larq_dense.tasks import frame, plain, problems
from larq_dense.tasks.folder import Folder
from larq_dense.tasks.layouts import Pair, PictureFiles
from larq_dense.tasks.masks import MaskError, values_in
from larq_dense.tasks.problems import Problem
from larq_dense.tasks.sources import Sample, rivals_sentence


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
        problems: What must be fixed.
        warnings: What may be meant so, but seldom is.
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
    warnings: list[Problem]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)


def check(
    data: Folder,
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
    pairs = data.frames(splits)
    without = {pair.stem for name in unlabelled for pair in splits[name]}
    tally = _Tally()

    def read(pair: Pair) -> _Frame:
        return _read(pair, data, needs_mask=pair.stem not in without)

    with ThreadPoolExecutor() as pool:
        for pair, found in zip(pairs, progress(pool.map(read, pairs), len(pairs)), strict=True):
            tally.add(pair, found)
    found = problems.in_lists(splits) + _in_folders(data) + tally.problems
    found += _in_balance(data, splits, unlabelled, tally)
    if not tally.samples and not found:
        message = f"there is not one picture with its mask in {data.root}."
        found.append(Problem("nothing to read", str(data.root), message))
    report = CheckReport(
        root=str(data.root),
        layout=data.layout.name if data.layout else "plain folder",
        encoding=data.encoding.name,
        splits={name: len(pairs) for name, pairs in splits.items()},
        unlabelled=unlabelled,
        frames=len(pairs),
        usable=len(tally.samples),
        sizes=dict(tally.sizes.most_common()),
        classes=tally.shares(data),
        ignored=tally.ignored(len(data.task.classes)),
        problems=[problem for problem in found if problem.severe],
        warnings=[problem for problem in found if not problem.severe],
    )
    return report, tally.samples


def _in_folders(data: Folder) -> list[Problem]:
    if data.layout is not None:
        return []
    masks = plain.mask_folder(data.root, data.encoding)
    places = data.root / "images", masks
    found = problems.in_root(data.root, masks)
    return found + problems.in_folders(PictureFiles(place) for place in places)


def _in_balance(
    data: Folder, splits: dict[str, list[Pair]], unlabelled: list[str], tally: _Tally
) -> list[Problem]:
    """Look at each split; without one at all frames together."""
    named = {name: pairs for name, pairs in splits.items() if name not in unlabelled}
    found = []
    for name, pairs in (named or {plain.ALL: list(tally.frames)}).items():
        usable = [pair for pair in pairs if pair in tally.frames]
        known = [tally.frames[pair] for pair in usable]
        masks = [pair.mask for pair in usable if pair.mask]
        images = sum((frame.pixels > 0 for frame in known), np.zeros(256, np.int64))
        names = data.task.class_names
        if not data.names_known:
            # Of labels without names only those that occur are classes.
            names = tuple(name for name, count in zip(names, images, strict=False) if count)
            images = images[images > 0][: len(names)]
        values = set().union(*(frame.values for frame in known))
        found += problems.among_others(
            name, {pair.mask: tally.frames[pair].values for pair in usable}
        )
        found += problems.in_balance(name, names, images[: len(names)].tolist(), masks, values)
    return found


@dataclass(frozen=True)
class _Frame:
    """What reading one frame gave: the picture's size, pixels by class id, and problems.

    Attributes:
        problems: What is wrong with it.
        size: The picture's, if it can be read.
        sample: The frame, if picture and mask are right.
        pixels: Pixels of each class id, int64 `[256]`; none without a sample.
        values: The values in the mask's file.
    """

    problems: list[Problem]
    size: str | None = None
    sample: Sample | None = None
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    values: frozenset[int] = frozenset()


def _read(pair: Pair, data: Folder, needs_mask: bool) -> _Frame:
    if pair.image is None:
        if pair.mask is not None:
            message = f"the mask {pair.mask} has no image of its name; add it, or remove the mask."
            return _Frame([Problem("masks without a picture", str(pair.mask), message)])
        message = (
            f"{pair.stem!r} is in a list but has no image of that name; correct the list, in which "
            "a line is an image's name, or that and its own mask's."
        )
        return _Frame([Problem("names without a picture", pair.stem, message)])
    if pair.rivals:
        return _Frame([Problem("two files of one name", str(pair.image), rivals_sentence(pair))])
    try:
        image = read_image(pair.image)
    except DataError as error:
        return _Frame([Problem("damaged pictures", str(pair.image), str(error))])
    size = f"{image.shape[1]} x {image.shape[0]}"
    if pair.mask is None and not needs_mask:
        return _Frame(frame.in_picture(pair.image, image), size)
    sample = Sample(pair.stem, pair.image, pair.mask, data.encoding)
    try:
        values, label = data.task.read_values(sample)
    except DataError as error:
        return _Frame([_problem(pair, error)], size)
    found = [*frame.in_picture(pair.image, image), *frame.in_mask(sample, values, label)]
    pixels = np.bincount(label.ravel(), minlength=256)
    return _Frame(found, size, sample, pixels, values_in(values))


def _problem(pair: Pair, error: DataError) -> Problem:
    if isinstance(error, MaskError):
        return Problem(error.kind, str(pair.mask), str(error))
    if pair.mask is None:
        return Problem("pictures without a mask", str(pair.image), str(error))
    return Problem("damaged masks", str(pair.mask), str(error))


class _Tally:
    """Sums over the frames."""

    def __init__(self) -> None:
        self.frames: dict[Pair, _Frame] = {}
        self.pixels = np.zeros(256, np.int64)
        self.images = np.zeros(256, np.int64)
        self.sizes: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.problems: list[Problem] = []

    def add(self, pair: Pair, frame: _Frame) -> None:
        """Add one frame."""
        self.problems.extend(frame.problems)
        if frame.size is not None:
            self.sizes[frame.size] += 1
        if frame.sample is not None:
            self.frames[pair] = frame
            self.samples.append(frame.sample)
            self.pixels += frame.pixels
            self.images += frame.pixels > 0

    def shares(self, data: Folder) -> list[ClassShare]:
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
