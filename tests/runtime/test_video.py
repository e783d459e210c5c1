"""Videos, whole and broken, and cameras that are not there."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.labels import Prediction
from larq_dense.runtime.video import label_video

av = pytest.importorskip("av")
FRAMES = 12


class Bright:
    """Labels each frame by its brightness: road (1) where it is white, sky (0) where black."""

    spec = tiny.spec()

    def __init__(self) -> None:
        self.seen = 0
        self.each: Callable[[int], None] = lambda count: None

    def predict(self, pixels: NDArray[np.uint8]) -> Prediction:
        self.seen += 1
        self.each(self.seen)
        logits = np.zeros((*pixels.shape[:2], 3), np.float32)
        logits[..., 1] = pixels.mean(-1) / 127.5 - 1
        return Prediction(logits, *pixels.shape[:2])


def clip(path: Path, frames: list[NDArray[np.uint8]], codec: str = "mpeg4") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def half(bright: bool) -> NDArray[np.uint8]:
    """Return a frame whose upper half is black, and whose lower is white or black."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[24:] = 255 * bright
    return pixels


def read(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_each_frame_gets_its_overlay(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", [half(True)] * FRAMES)
    counts: list[int] = []
    result = label_video(
        Bright(),  # type: ignore[arg-type]
        str(source),
        tmp_path / "new" / "out.mp4",
        watch=lambda frames, rate: counts.append(frames),
    )
    assert (result["width"], result["height"], result["frames"]) == (64, 48, FRAMES)
    assert counts == list(range(1, FRAMES + 1))
    assert result["shares"]["road"] == pytest.approx(0.5, abs=0.05)
    written = read(tmp_path / "new" / "out.mp4")
    assert len(written) == FRAMES
    road = (np.array(tiny.CLASSES[1][1]) + 255) / 2
    np.testing.assert_allclose(written[5][30:].mean((0, 1)), road, atol=12)


def test_smoothing_keeps_what_was_before(tmp_path: Path) -> None:
    frames = [half(False), half(True), half(True), half(True)]
    source = clip(tmp_path / "a.avi", frames)
    shares = []
    for smooth in (0.0, 0.9):
        predictor: Any = Bright()
        result = label_video(predictor, str(source), tmp_path / "out.mp4", smooth)
        shares.append(result["shares"]["road"])
    assert shares[0] == pytest.approx(3 / 8, abs=0.05)
    assert shares[1] < 0.05


def test_what_was_written_before_an_end_plays(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", [half(True)] * FRAMES)
    predictor: Any = Bright()

    def stop(count: int) -> None:
        if count == 6:
            raise KeyboardInterrupt

    predictor.each = stop
    result = label_video(predictor, str(source), tmp_path / "out.mp4")
    assert result["frames"] == len(read(tmp_path / "out.mp4")) == 5


def test_a_stream_that_breaks_is_a_sentence_and_plays_so_far(tmp_path: Path) -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8))
    source = clip(tmp_path / "a.avi", frames)
    predictor: Any = Bright()

    def fail(count: int) -> None:
        if count == 20:
            raise OSError(5, "Input/output error")

    predictor.each = fail
    with pytest.raises((DataError, OSError)):
        label_video(predictor, str(source), tmp_path / "out.mp4")
    assert len(read(tmp_path / "out.mp4")) == 19
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    try:
        count = label_video(Bright(), str(source), tmp_path / "cut.mp4")["frames"]  # type: ignore[arg-type]
    except DataError as error:
        assert "what was written so far plays" in str(error)
        count = len(read(tmp_path / "cut.mp4"))
    assert 0 < len(read(tmp_path / "cut.mp4")) == count < 60


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot read the video .*nowhere"), (b"", "cannot read"), (b"no video", "cannot read")],
)
def test_what_is_no_video_is_named_and_leaves_no_file(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    source = tmp_path / "nowhere.mp4"
    if content is not None:
        source.write_bytes(content)
    predictor: Any = Bright()
    with pytest.raises(DataError, match=sentence):
        label_video(predictor, str(source), tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_source_without_a_frame_costs_no_earlier_result(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    earlier = tmp_path / "out.mp4"
    earlier.write_bytes(b"an hour of work")
    with pytest.raises(DataError, match="cannot read the video"):
        label_video(Bright(), str(tmp_path / "broken.mp4"), earlier)  # type: ignore[arg-type]
    assert earlier.read_bytes() == b"an hour of work"


def test_frames_of_one_row_are_a_sentence(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mkv", [np.zeros((1, 1, 3), np.uint8)] * 2, "ffv1")
    predictor: Any = Bright()
    with pytest.raises(DataError, match="of a single row or column"):
        label_video(predictor, str(source), tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_an_absent_camera_is_named(tmp_path: Path) -> None:
    predictor: Any = Bright()
    with pytest.raises(DataError, match="no camera 97 to read"):
        label_video(predictor, "97", tmp_path / "out.mp4")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", [half(True)] * 2)
    predictor: Any = Bright()
    with pytest.raises(LarqDenseError, match="cannot write"):
        label_video(predictor, str(source), source / "out.mp4")


def test_without_pyav_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    predictor: Any = Bright()
    with pytest.raises(LarqDenseError, match="pip install av"):
        label_video(predictor, "a.mp4", tmp_path / "out.mp4")
