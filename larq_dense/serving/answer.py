"""From a request's bytes to what is sent back: the part of the work that threads do."""

import io
import json
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from larq_dense.common.errors import DataError
from larq_dense.common.images import DAMAGED, read_image
from larq_dense.runtime import Predictor
from larq_dense.runtime.outputs import Outputs, scores, shares
from larq_dense.serving.refusal import Refusal

Format = Literal["mask", "overlay", "cutout", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

# What browsers and cameras write. Pillow knows more, such as EPS, for which it starts another
# program; strangers' files are no place for that.
_KINDS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
_ACCEPTED = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"

# How files begin that people take for pictures, and that are not opened here.
_OTHERS = {
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"8BPS": "PSD",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
}


def answer(
    predictor: Predictor, content: bytes, format: Format, max_pixels: int
) -> tuple[str, bytes]:
    """Label a picture.

    Args:
        predictor: The model.
        content: The picture's file.
        format: `"mask"`, a PNG of the classes' numbers; `"overlay"`, the classes' colours over
            the picture; `"cutout"`, the object alone, transparent elsewhere; `"json"`, numbers.
        max_pixels: The most pixels that are decoded.

    Returns:
        The media type and the content.

    Raises:
        Refusal: It is no picture, damaged, too large, or cannot be answered in this format.
    """
    pixels = decode(content, max_pixels, predictor.spec.preprocessing.channels)
    prediction = predictor.predict(pixels)
    spec = predictor.spec
    if format == "json":
        values = {
            "model": spec.name,
            "task": spec.task,
            "width": prediction.width,
            "height": prediction.height,
            "shares": shares(prediction.labels(), spec),
            "scores": scores(prediction, spec),
        }
        return "application/json", json.dumps(values).encode()
    try:
        ((_, _, picture),) = Outputs(spec, (format,)).files(read_image(pixels), prediction)
    except DataError as error:
        raise Refusal(400, str(error)) from error
    return "image/png", picture


def decode(content: bytes, max_pixels: int, channels: int = 3) -> NDArray[np.uint8]:
    """Decode a stranger's picture, looking at its size first.

    Args:
        content: The file.
        max_pixels: The most pixels that are decoded.
        channels: That the network sees.

    Returns:
        uint8 `[height, width, channels]`.

    Raises:
        Refusal: It is no picture, of a kind that is not opened here, damaged, or too large.
    """
    Image.init()
    kinds = [kind for kind in _KINDS if kind in Image.OPEN]  # an older Pillow knows no AVIF
    try:
        with Image.open(io.BytesIO(content), formats=kinds) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise Refusal(
                    413,
                    f"the picture has {width}×{height} pixels, and at most {max_pixels} are taken; "
                    "send a smaller one.",
                )
            if channels == 4 and len(picture.getbands()) != 4:
                raise Refusal(400, "the network sees four channels; send a PNG of RGBA.")
            return read_image(picture, channels)
    except UnidentifiedImageError as error:
        raise _no_picture(content) from error
    except Image.DecompressionBombError as error:
        raise Refusal(413, "the picture has too many pixels; send a smaller one.") from error
    except (DataError, *DAMAGED) as error:
        raise Refusal(400, "the picture is damaged or cut off; send it again.") from error


def _no_picture(content: bytes) -> Refusal:
    kind = next((kind for head, kind in _OTHERS.items() if content.startswith(head)), None)
    if content[4:8] == b"ftyp":
        kind = "HEIC or a video"
    if kind:
        return Refusal(415, f"the file is {kind}, which is not opened here; send {_ACCEPTED}.")
    what = "the file is no picture" if content else "the request holds no picture"
    return Refusal(400, f"{what}; send {_ACCEPTED}.")
