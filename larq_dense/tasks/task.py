"""What a model is for: classes, colours, label encodings and measures."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError
from larq_dense.common.images import open_picture, upright
from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.masks import SMEARED, MaskError, smeared_share
from larq_dense.tasks.metrics import IGNORE, Metrics, SegmentationMetrics
from larq_dense.tasks.sources import DataSource, Sample, find_samples

UNKNOWN = -1
_EXIF_ORIENTATION = 0x0112
# More wrong values than anybody's forgotten class.
_SMEARED_VALUES = 8


@dataclass(frozen=True)
class Task:
    """What a model is for.

    Attributes:
        name: The task's name, as in `larq_dense.tasks.get`.
        title: The task in a few words.
        classes: The classes in the order of their ids.
        kind: `"segmentation"` has one output a class, `"saliency"` one probability of the
            second class.
        main_metric: The figure that ranks models; higher is better.
        class_maps: For a label encoding of other classes, the names that mean one of this
            task's classes; all its other names mean the first class. An encoding that has this
            task's own class names needs no entry.
        metrics: Makes what measures the task from the names of its classes.
        ignore_value: The value that labels carry where nothing is labelled.

    Examples:
        >>> from larq_dense import tasks
        >>> task = tasks.get("cityscapes")
        >>> task.class_names, task.num_outputs, task.palette.shape
        (('background', 'drivable'), 2, (2, 3))
        >>> own = tasks.from_folder("cracks")
        >>> own.read_label(own.samples("cracks", "train")[0]).shape
        (40, 60)
    """

    name: str
    title: str
    classes: tuple[ClassInfo, ...]
    kind: Literal["segmentation", "saliency"] = "segmentation"
    main_metric: str = "miou"
    class_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    metrics: Callable[[tuple[str, ...]], Metrics] = SegmentationMetrics
    ignore_value: int = IGNORE

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their ids."""
        return tuple(info.name for info in self.classes)

    @property
    def num_outputs(self) -> int:
        """Channels of the model's output."""
        return 1 if self.kind == "saliency" else len(self.classes)

    @property
    def palette(self) -> NDArray[np.uint8]:
        """The classes' colours, uint8 `[classes, 3]`."""
        return np.array([info.color for info in self.classes], np.uint8)

    def new_metrics(self) -> Metrics:
        """Return fresh measures of this task."""
        return self.metrics(self.class_names)

    @property
    def own_encoding(self) -> Encoding:
        """Masks whose values are this task's class ids."""
        # A mask of 0 and 255 shows an object, not an unlabelled part.
        ignored = frozenset() if self.kind == "saliency" else frozenset({self.ignore_value})
        return Encoding(self.name, dict(enumerate(self.class_names)), ignored)

    def reads(self, encoding: Encoding) -> bool:
        """Whether labels of `encoding` say what this task needs."""
        return self._meanings(encoding) is not None or (
            set(encoding.values.values()) <= set(self.class_names)
        )

    def _meanings(self, encoding: Encoding) -> Mapping[str, str] | None:
        return self.class_maps.get(encoding.name, encoding.means.get(self.name))

    def lookup(self, encoding: Encoding) -> NDArray[np.int16]:
        """Return the class id of each mask value.

        Returns:
            int16 `[256]`: a class id, the ignore value, or -1 where the encoding has no such
            value.
        """
        table = np.full(256, UNKNOWN, np.int16)
        table[list(encoding.ignored)] = self.ignore_value
        names = self._meanings(encoding)
        for value, name in encoding.values.items():
            target = name if names is None else names.get(name, self.class_names[0])
            table[value] = self.class_names.index(target)
        return table

    def samples(
        self,
        root: str | Path,
        split: str,
        *,
        labels: str | None = None,
        within: str | None = None,
    ) -> list[Sample]:
        """Find the frames of one split.

        Args:
            root: A data set as published, or a plain folder with `images/`, `masks/` and lists.
            split: Such as `"train"` or `"val"`; a plain folder may always be read as `"all"`.
            labels: Name of the label encoding of a plain folder, where it is not `classes.yaml`
                and can be told neither from the folder's name nor from the masks.
            within: Keep only stems that this other list of a plain folder has, too.

        Raises:
            DataError: The folder is not there or in no known layout, the split is missing or
                empty, a listed picture or a mask is missing, or the labels do not suit.
        """
        return find_samples(self, Path(root), split, labels=labels, within=within)

    def join(self, data_root: str | Path, sources: Iterable[DataSource]) -> list[Sample]:
        """Find the frames of several sources, one after the other.

        Raises:
            DataError: See `samples`.
        """
        found: list[Sample] = []
        for source in sources:
            root = Path(data_root) / source.folder
            one = self.samples(root, source.split, labels=source.labels, within=source.within)
            found.extend(one * source.repeat)
        return found

    def read_label(self, sample: Sample) -> NDArray[np.uint8]:
        """Read a frame's mask in this task's class ids.

        Returns:
            uint8 `[height, width]`, `ignore_value` where nothing is labelled.

        Raises:
            DataError: There is no mask, it is unreadable or of another size than the picture,
                or it holds a value that the encoding does not have.
        """
        return self.read_values(sample)[1]

    def read_values(self, sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read a frame's mask as its file has it, and in this task's class ids.

        Returns:
            Two uint8 `[height, width]`: the file's values, and what `read_label` returns.

        Raises:
            DataError: See `read_label`.
        """
        if sample.mask is None:
            raise DataError(
                f"the image {sample.image} has no mask; add one or take it off the list."
            )
        values = sample.encoding.read(sample.mask)
        height, width = image_size(sample.image)
        if values.shape != (height, width):
            raise _size_error(sample, values.shape, (height, width))
        mapped = self.lookup(sample.encoding)[values]
        if mapped.min(initial=0) < 0:
            raise _range_error(sample, values, mapped < 0)
        return values, mapped.astype(np.uint8)


def _size_error(sample: Sample, mask: tuple[int, ...], image: tuple[int, int]) -> MaskError:
    rows, columns = mask
    height, width = image
    sentence = (
        f"the mask {sample.mask} is {columns} x {rows}, but its image is {width} x {height}; "
    )
    assert sample.mask is not None
    orientations = orientation(sample.image), orientation(sample.mask)
    if (columns, rows) == (height, width) and orientations[0] != orientations[1]:
        return MaskError(
            "orientation (EXIF) of picture and mask",
            f"{sentence}only one of them is turned by its EXIF orientation (picture "
            f"{orientations[0]}, mask {orientations[1]}); turn its pixels and save it without.",
        )
    return MaskError(
        "masks of another size than their picture",
        f"{sentence}make them the same size, masks by nearest neighbour.",
    )


def _range_error(sample: Sample, values: NDArray[np.uint8], wrong: NDArray[np.bool_]) -> MaskError:
    different = len(np.unique(values[wrong]))
    label = (
        f"the mask {sample.mask} has the label {values[wrong][0]}, which is out of range for the "
        f"label encoding {sample.encoding.name}"
    )
    if different > _SMEARED_VALUES or smeared_share(values) > SMEARED:
        return MaskError(
            "smeared masks",
            f"{label}, and {different} such values in all, as a lossy format or smooth resizing "
            "leaves them; export the mask again as PNG, without smoothing, or, if it is black and "
            "white, name the labels gray.",
        )
    return MaskError(
        "labels out of range",
        f"{label}; correct the mask, or name its encoding or the class's `value` in classes.yaml.",
    )


def image_size(path: Path) -> tuple[int, int]:
    """Return a picture's height and width as `read_image` would, without decoding it.

    Raises:
        DataError: It is missing or no picture.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            # Of a TIFF, Pillow gives the size as it will be once turned.
            turned = _orientation(picture) >= 5 and picture.format != "TIFF"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # A kind that Pillow alone does not know is decoded, or the sentence says what it lacks.
        width, height = upright(open_picture(path)).size
        turned = False
    return (width, height) if turned else (height, width)


def orientation(path: Path) -> int:
    """Return a picture's EXIF orientation, 1 to 8; 1 where it has none or is no picture."""
    try:
        with Image.open(path) as picture:
            return _orientation(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 1


def frames(path: Path) -> int:
    """Return how many pictures a file holds; 1 where it is no picture.

    The map of depth or brightness that phones put behind a photograph (MPO) does not count.
    """
    try:
        with Image.open(path) as picture:
            return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return 1


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except (SyntaxError, TypeError, ValueError):
        # Damaged EXIF turns no picture.
        return 1
