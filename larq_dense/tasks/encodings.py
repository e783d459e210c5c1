"""What the values of mask files mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from larq_dense.tasks.masks import read_values

Reader = Callable[[Path, int], NDArray[np.uint8]]
"""Reads a mask file as uint8 `[height, width]`, given the value of white in a 1-bit file."""


@dataclass(frozen=True)
class Encoding:
    """What the values of a mask file mean.

    Attributes:
        name: The encoding's name, as given to `labels=`.
        values: Class name of each labelled value.
        ignored: Values that mean "not labelled".
        hints: A plain folder whose name holds one of these words has this encoding.
        mask_folder: Where a plain folder keeps these masks, if not in `masks`.
        reader: Reads a mask file.
        means: For tasks of other classes, by their name: the class names here that mean one of
            the task's classes; all others mean its first class.
        soft: The values are shades, split in the middle, so that a lossy format does no harm.

    Examples:
        >>> encoding = Encoding("rooms", {0: "floor", 1: "wall"})
        >>> encoding.knows({0, 1, 255}), encoding.knows({2})
        (True, False)
    """

    name: str
    values: Mapping[int, str] = field(hash=False)
    ignored: frozenset[int] = frozenset({255})
    hints: tuple[str, ...] = ()
    mask_folder: str = "masks"
    reader: Reader = read_values
    means: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    soft: bool = False

    def knows(self, values: set[int]) -> bool:
        """Whether every one of `values` has a meaning."""
        return values <= self.values.keys() | self.ignored

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read a mask file.

        Returns:
            uint8 `[height, width]`, upright. White in a 1-bit file is 1 where that is a class.

        Raises:
            DataError: The file is damaged, or holds something else than labels.
        """
        return self.reader(path, 1 if 1 in self.values else 255)
