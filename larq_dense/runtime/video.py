"""Video and cameras: an overlay frame by frame, by PyAV."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.images import overlay
from larq_dense.common.labels import Prediction, Scores

if TYPE_CHECKING:
    from larq_dense.runtime.predictor import Predictor

# The formats in which FFmpeg knows cameras, by platform, and how each is named there.
_CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("vfwcap", "{}"),
}
_CAMERA_RATE = 30
_ENCODERS = ("libx264", "h264", "mpeg4")
# A file of fragments plays as far as it got, whatever ended the process.
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def label_video(
    predictor: "Predictor",
    source: str,
    target: Path,
    smooth: float = 0.0,
    threshold: float | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Write a video with the classes' colours over it.

    Args:
        predictor: The model.
        source: A video file, a stream's address, or a camera's number.
        target: The MP4 file to write, without sound. It plays up to the last frame written,
            also where the source fails or Ctrl-C ends the work.
        smooth: Weight, 0…1, of the frames before in a frame's logits: 0 for none.
        threshold: Probability that a label needs; see `Prediction.labels`.
        watch: Called after each frame with the number of frames and frames a second.

    Returns:
        `{"width": …, "height": …, "frames": …, "fps": …, "shares": {class: share}}`, `fps` being
        the frames labelled in a second and `shares` those of all frames together.

    Raises:
        LarqDenseError: PyAV is not installed, or the file cannot be written.
        DataError: The source is missing, is no video, has an unknown codec, or broke; or frames
            seen in tiles are to be smoothed.
    """
    from larq_dense.runtime.outputs import shares

    av = _pyav()
    begin, frames, sums = time.perf_counter(), 0, np.zeros(len(predictor.spec.classes))
    state: NDArray[np.float32] | None = None
    size = (0, 0)
    with _writer(av, target) as write, contextlib.suppress(KeyboardInterrupt):
        for pixels, rate in _frames(av, source):
            prediction = predictor.predict(pixels)
            if smooth:
                prediction = _smoothed(prediction, state, smooth)
                state = prediction.logits
            size = pixels.shape[1], pixels.shape[0]
            labels = prediction.labels(threshold)
            sums += list(shares(labels, predictor.spec).values())
            write(overlay(pixels, labels, predictor.spec.palette), rate)
            frames += 1
            if watch is not None:
                watch(frames, frames / (time.perf_counter() - begin))
    if not frames:
        raise DataError(f"{source} holds no frame of video; check it by playing it.")
    return {
        "width": size[0],
        "height": size[1],
        "frames": frames,
        "fps": frames / (time.perf_counter() - begin),
        "shares": dict(zip(predictor.spec.class_names, (sums / frames).tolist(), strict=True)),
    }


def _smoothed(prediction: Scores, before: NDArray[np.float32] | None, weight: float) -> Prediction:
    if not isinstance(prediction, Prediction):
        raise DataError("smoothing needs whole frames; leave out tiles and averages, or smoothing.")
    logits = prediction.logits
    if before is not None and before.shape == logits.shape:
        logits = np.float32(weight) * before + np.float32(1 - weight) * logits
    return Prediction(logits, prediction.height, prediction.width)


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise LarqDenseError(
            "video needs PyAV, which is not installed; run `pip install av`."
        ) from error
    av.logging.set_level(av.logging.PANIC)
    return av


def _frames(av: Any, source: str) -> Iterator[tuple[NDArray[np.uint8], Fraction]]:
    """Yield each frame, upright, uint8 `[height, width, 3]`, and the frames in a second."""
    count = 0
    try:
        with _open(av, source) as container:
            if not container.streams.video:
                raise DataError(f"{source} holds no video; name another file.")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise DataError(f"{source} has a codec that this PyAV does not know; convert it.")
            stream.thread_type = "AUTO"
            rate = Fraction(stream.average_rate or _CAMERA_RATE)
            for frame in container.decode(stream):
                turns = round(getattr(frame, "rotation", 0) / 90)
                pixels = frame.to_ndarray(format="rgb24")
                yield np.ascontiguousarray(np.rot90(pixels, turns)), rate
                count += 1
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if count:
            raise DataError(
                f"{source} broke after {count} frames ({reason}); what was written so far plays."
            ) from error
        raise DataError(f"cannot read the video {source}: {reason}.") from error


def _open(av: Any, source: str) -> Any:
    if not source.isdigit():
        return av.open(source)
    format, name = _CAMERAS.get(sys.platform, _CAMERAS["linux"])
    try:
        return av.open(name.format(source), format=format)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"there is no camera {source} to read ({name.format(source)}: {reason}); connect it, "
            "or name another by its number."
        ) from error


@contextlib.contextmanager
def _writer(av: Any, target: Path) -> Iterator[Callable[[NDArray[np.uint8], Fraction], None]]:
    """Give a function that appends a frame to an MP4 file, which is whole after the block."""
    stream: Any = None

    def write(pixels: NDArray[np.uint8], rate: Fraction) -> None:
        nonlocal stream
        # H.264 in its usual form has colours for squares of four pixels.
        pixels = pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2]
        if not pixels.size:
            raise DataError("the video's frames are of a single row or column; scale it up.")
        if stream is None:
            # Not before there is a frame: a source that has none costs no earlier result.
            encoder = _encoder(av)
            stream = _created(av, target).add_stream(encoder, rate=rate)
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = "yuv420p"
        elif pixels.shape[:2] != (stream.height, stream.width):
            raise DataError("the video's size changes on the way, which MP4 cannot follow.")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        try:
            stream.container.mux(stream.encode(frame))
        except av.FFmpegError as error:
            raise LarqDenseError(
                f"cannot write {target}: {error.strerror}; choose another place or make room."
            ) from error

    try:
        yield write
    finally:
        # A disk that is full was told of by then.
        with contextlib.suppress(av.FFmpegError):
            if stream is not None:
                stream.container.mux(stream.encode())
                stream.container.close()


def _created(av: Any, target: Path) -> Any:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return av.open(str(target), "w", format="mp4", options=_FRAGMENTS)
    except (av.FFmpegError, OSError) as error:
        raise LarqDenseError(
            f"cannot write {target}: {error.strerror}; choose another place."
        ) from error


def _encoder(av: Any) -> str:
    for name in _ENCODERS:
        with contextlib.suppress(av.codec.codec.UnknownCodecError):
            av.codec.Codec(name, "w")
            return name
    raise LarqDenseError("this PyAV encodes neither H.264 nor MPEG-4; install it from PyPI.")
