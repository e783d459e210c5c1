"""A data set's folder as a whole: its layout, its label encoding and all of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from larq_dense.tasks import data_sets, plain, registry
from larq_dense.tasks.classes import ClassInfo, has_classes, voc_color
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair, two_folders
from larq_dense.tasks.sources import find_encoding, find_layout, layouts_of
from larq_dense.tasks.task import Task

_NAMELESS = Encoding("unknown", {value: f"label {value}" for value in range(255)})


@dataclass(frozen=True)
class Folder:
    """A folder with what its files are.

    Attributes:
        root: The folder.
        layout: Its published layout; None for a plain folder.
        encoding: Its label encoding.
        task: Reads its masks.
    """

    root: Path
    layout: Layout | None
    encoding: Encoding
    task: Task

    @classmethod
    def open(cls, root: str | Path, task: Task | None = None, labels: str | None = None) -> Folder:
        """Tell what a folder holds.

        Args:
            root: A published data set or a plain folder.
            task: The task that shall read it; without it, the labels' own classes are the task.
            labels: Name of a plain folder's label encoding, if it cannot be told.

        Raises:
            DataError: The folder is in no known layout, or its labels do not suit the task.
        """
        root = Path(root)
        if task is None and has_classes(root):
            task = registry.from_folder(root)
        layout = find_layout(root, data_sets.layouts() if task is None else layouts_of(task))
        if layout is not None:
            encoding = data_sets.get_encoding(layout.encoding)
        elif task is not None:
            encoding = find_encoding(task, root, labels)
        else:
            encoding = (
                data_sets.get_encoding(labels)
                if labels
                else next(iter(plain.hinted(root)), _NAMELESS)
            )
        return cls(root, layout, encoding, task or _task_of(encoding))

    @property
    def names_known(self) -> bool:
        """Whether it is known what the labels mean."""
        return self.encoding is not _NAMELESS

    def splits(self) -> dict[str, list[Pair]]:
        """Return the frames of each split, complete or not."""
        if self.layout is None:
            names = plain.lists(self.root)
            return {name: plain.pairs(self.root, name, self.encoding) for name in names}
        return {name: self.layout.pairs(self.root, name) for name in self.layout.splits(self.root)}

    def unlabelled(self, splits: dict[str, list[Pair]]) -> list[str]:
        """Return the splits whose masks the authors of a published data set keep to themselves."""
        if self.layout is None:
            return []
        return [name for name, pairs in splits.items() if not any(pair.mask for pair in pairs)]

    def frames(self, splits: dict[str, list[Pair]]) -> list[Pair]:
        """Return every frame once, in a list or not."""
        frames = {_identity(pair): pair for pairs in splits.values() for pair in pairs}
        if self.layout is None:
            folder = plain.mask_folder(self.root, self.encoding)
            for pair in two_folders(self.root / "images", folder):
                # A folder of further masks covers only a part of the pictures.
                if pair.mask is not None or folder.name == "masks":
                    frames.setdefault(_identity(pair), pair)
        return list(frames.values())


def _identity(pair: Pair) -> object:
    return pair.image or pair.mask or pair.stem


def _task_of(encoding: Encoding) -> Task:
    """Return the task of an encoding's very classes."""
    names = tuple(encoding.values.values())
    tasks = map(registry.get, registry.names())
    own = (
        ClassInfo(name, (0, 0, 0) if name == "background" else voc_color(index))
        for index, name in enumerate(names, 1)
    )
    same = (task for task in tasks if task.class_names == names)
    return next(same, None) or registry.from_classes(encoding.name, own)
