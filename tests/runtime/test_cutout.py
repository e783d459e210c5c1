"""Cut-outs: edges that follow the picture, and what stands behind."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from larq_dense.common.errors import DataError
from larq_dense.runtime import cutout


def scene() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a red ellipse on blue and where it is."""
    mask = Image.new("L", (400, 300))
    ImageDraw.Draw(mask).ellipse((100, 70, 300, 230), 255)
    inside = np.asarray(mask) > 0
    pixels = np.where(inside[..., None], (200, 40, 30), (20, 60, 180)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(-8, 9, pixels.shape)
    return (pixels + noise).clip(0, 255).astype(np.uint8), inside


def blurred(inside: NDArray[np.bool_], radius: float) -> NDArray[np.float32]:
    mask = Image.fromarray(inside.astype(np.uint8) * 255)
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def test_a_blurred_edge_moves_to_the_pictures_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, inside = scene()
    coarse = blurred(inside, 4)
    refined = cutout.refine(pixels, coarse)
    assert refined.shape == coarse.shape and refined.dtype == np.float32
    assert refined.min() >= 0 and refined.max() <= 1

    def error() -> float:
        alpha = np.asarray(cutout.cut_out(pixels, coarse))[..., 3]
        return float(np.abs(alpha / 255 - inside).mean())

    after = error()
    monkeypatch.setattr(cutout, "refine", lambda pixels, probability: probability)
    assert after < error() / 2


def test_the_object_is_opaque_and_the_rest_is_clear() -> None:
    pixels, inside = scene()
    cut = np.asarray(cutout.cut_out(pixels, blurred(inside, 5)))
    np.testing.assert_array_equal(cut[..., :3], pixels)
    assert (cut[130:170, 150:250, 3] == 255).all()
    assert (cut[:30, :, 3] == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_small_and_flat_pictures_are_cut_out(size: tuple[int, int], value: float) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    refined = cutout.refine(pixels, np.full(size, value, np.float32))
    np.testing.assert_allclose(refined, value, atol=1e-3)


def test_a_large_picture_is_refined_stripe_by_stripe_as_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, inside = scene()
    at_once = cutout.refine(pixels, blurred(inside, 5))
    monkeypatch.setattr(
        cutout, "_stripes", lambda h, w: (slice(y, min(y + 7, h)) for y in range(0, h, 7))
    )
    np.testing.assert_allclose(cutout.refine(pixels, blurred(inside, 5)), at_once, atol=1e-4)


def test_backgrounds(tmp_path: Path) -> None:
    pixels, inside = scene()
    cut = cutout.cut_out(pixels, blurred(inside, 5))
    Image.new("RGB", (30, 90), (1, 200, 3)).save(tmp_path / "green.png")
    for name, color in (("white", (255, 255, 255)), (str(tmp_path / "green.png"), (1, 200, 3))):
        placed = np.asarray(cutout.place(cut, cutout.background(name)))
        assert placed.shape == pixels.shape
        assert (placed[:30] == color).all()
        np.testing.assert_array_equal(placed[130:170, 150:250], pixels[130:170, 150:250])
    soft = np.asarray(cutout.place(cut, cutout.background("blur")), float)
    assert soft[:20, :40].std(axis=(0, 1)).max() < pixels[:20, :40].std(axis=(0, 1)).min()


def test_a_background_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match="nowhere is no colour, not 'blur', and no picture"):
        cutout.background("nowhere")
