"""What is written about a picture: overlay, mask, cut-out and probabilities."""

import functools
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.errors import DataError, UnknownNameError
from larq_dense.common.images import overlay
from larq_dense.common.labels import Scores
from larq_dense.runtime import cutout
from larq_dense.runtime.spec import ModelSpec

Kind = Literal["overlay", "mask", "cutout", "probability", "npy"]
Format = Literal["png", "jpg", "webp"]

KINDS: tuple[Kind, ...] = ("overlay", "mask", "cutout", "probability", "npy")
FORMATS: tuple[Format, ...] = ("png", "jpg", "webp")

# zlib's run-length strategy (Z_RLE, 3) takes less time for a photograph than level 1 alone, and the
# file is smaller: PNG's filters leave little else to find. Pillow's own level is much slower.
_ENCODERS: dict[Format, tuple[str, dict[str, int]]] = {
    "png": ("PNG", {"compress_level": 1, "compress_type": 3}),
    "jpg": ("JPEG", {"quality": 90}),
    "webp": ("WEBP", {"quality": 90, "method": 1}),
}


@dataclass(frozen=True)
class Outputs:
    """What to write about each picture.

    Attributes:
        spec: What the model is for.
        kinds: `"overlay"`, the classes' colours over the picture; `"mask"`, a PNG of the classes'
            numbers; `"cutout"`, what is kept of the picture, on nothing or on a background;
            `"probability"`, a 16-bit PNG of each kept class, 65535 for 1; `"npy"`, all
            probabilities as float32 `[height, width, classes]`.
        format: Of overlays and cut-outs; a cut-out without background needs PNG or WebP.
        threshold: Probability that a label needs; see `Prediction.labels`.
        keep: Names of the classes that a cut-out keeps; left out, all that have a colour.
        background: The background of a cut-out; see `cutout.background`.

    Raises:
        UnknownNameError: There is no such class.
        DataError: The background is none, the format has no transparency, or nothing is kept.
    """

    spec: ModelSpec
    kinds: tuple[Kind, ...] = ("overlay",)
    format: Format = "png"
    threshold: float | None = None
    keep: tuple[str, ...] = ()
    background: str | None = None

    def __post_init__(self) -> None:
        for name in self.keep:
            if name not in self.spec.class_names:
                raise UnknownNameError("class", name, self.spec.class_names)
        if self.background is not None:
            _ = self._behind
        elif "cutout" in self.kinds and self.format == "jpg":
            raise DataError("JPEG has no transparency; write cut-outs as png or webp.")
        if "cutout" in self.kinds and not self.kept:
            raise DataError("all classes are black, so nothing is cut out; name one by --keep.")

    @functools.cached_property
    def kept(self) -> list[int]:
        """The ids of the classes that a cut-out keeps."""
        if self.keep:
            return [self.spec.class_names.index(name) for name in self.keep]
        return [index for index, each in enumerate(self.spec.classes) if any(each.color)]

    @functools.cached_property
    def _behind(self) -> cutout.Background:
        return cutout.background(self.background or "")

    def files(
        self,
        pixels: NDArray[np.uint8],
        prediction: Scores,
        labels: NDArray[np.uint8] | None = None,
    ) -> Iterator[tuple[Kind, str, bytes]]:
        """Encode everything about one picture.

        Args:
            pixels: uint8 `[height, width, 3]`.
            prediction: The network's answer.
            labels: The label map, where it is known already.

        Yields:
            Its kind, what to append to the picture's name, and the file's content.
        """
        if labels is None:
            labels = prediction.labels(self.threshold)
        for kind in self.kinds:
            if kind == "overlay":
                picture = Image.fromarray(overlay(pixels, labels, self.spec.palette))
                yield kind, f"_overlay.{self.format}", _encode(picture, self.format)
            elif kind == "mask":
                yield kind, "_mask.png", _mask(labels, self.spec.palette)
            elif kind == "cutout":
                picture = self.cut_out(pixels, prediction)
                yield kind, f"_cutout.{self.format}", _encode(picture, self.format)
            elif kind == "npy":
                yield kind, "_probability.npy", _npy(prediction.probabilities())
            else:
                for ending, index in self._probability_maps():
                    yield kind, f"_probability{ending}.png", _deep(prediction.probability(index))

    def cut_out(self, pixels: NDArray[np.uint8], prediction: Scores) -> Image.Image:
        """Cut out the kept classes: RGBA, or RGB on the background."""
        probability = sum(prediction.probability(index) for index in self.kept)
        cut = cutout.cut_out(pixels, np.asarray(probability, np.float32))
        return cut if self.background is None else cutout.place(cut, self._behind)

    def _probability_maps(self) -> list[tuple[str, int]]:
        """Return each map's ending and class; an object's needs no name."""
        names = self.spec.class_names
        if self.spec.kind == "saliency" and not self.keep:
            return [("", 1)]
        chosen = self.keep or tuple(names)
        # A class may be called as no file can be.
        return [("_" + re.sub(r"[^\w-]+", "-", name), names.index(name)) for name in chosen]


def shares(labels: NDArray[np.uint8], spec: ModelSpec) -> dict[str, float]:
    """Return each class's share of the pixels, 0…1."""
    counts = Image.fromarray(labels).histogram()
    names = spec.class_names
    return {name: counts[index] / labels.size for index, name in enumerate(names)}


def scores(prediction: Scores, spec: ModelSpec) -> dict[str, dict[str, float]]:
    """Return each class's mean and largest probability."""
    mean, largest = prediction.summary()
    return {
        name: {"mean": float(mean[index]), "max": float(largest[index])}
        for index, name in enumerate(spec.class_names)
    }


def _encode(picture: Image.Image, format: Format) -> bytes:
    name, options = _ENCODERS[format]
    file = io.BytesIO()
    try:
        picture.save(file, name, **options)
    except (OSError, ValueError) as error:  # such as a picture that is too large for WebP
        raise DataError(
            f"cannot write {picture.width} x {picture.height} pixels as {format} ({error}); take "
            "--format png."
        ) from error
    return file.getvalue()


def _mask(labels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(labels)
    # With fewer colours, PNG would have no bits for `UNSURE`.
    picture.putpalette(palette.tobytes().ljust(3 * 256, b"\0"))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _deep(probability: NDArray[np.float32]) -> bytes:
    values = (probability * np.float32(65535) + np.float32(0.5)).astype(np.uint16)
    return _encode(Image.fromarray(values), "png")


def _npy(probabilities: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, probabilities, allow_pickle=False)
    return file.getvalue()
