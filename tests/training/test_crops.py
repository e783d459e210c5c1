"""Crops: geometry, labels, order, and that they follow from seed and position alone."""

import colorsys
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from numpy.typing import NDArray
from PIL import Image

from larq_dense.training.augmentation import DRAWS, MORE_DRAWS, Augmentation
from larq_dense.training.data import Order, batches
from larq_dense.training.pictures import Picture, at_network_size
from larq_dense.training.recipe import Recipe
from larq_dense.training.validation import Validator

# isort: split
import tensorflow as tf

Make = Callable[..., Recipe]
PLAIN = {
    "scale": [1, 1],
    "aspect": [1, 1],
    "flip": False,
    "brightness": 0,
    "contrast": 0,
}


def coded(height: int, width: int) -> Picture:
    """Return a picture whose pixels tell their own row and column, and its label their class."""
    rows, columns = np.mgrid[:height, :width]
    label = (columns * 3 // width).astype(np.uint8)
    label[: height // 4] = 255
    return Picture(np.stack([rows, columns, label], -1).astype(np.uint8), label)


def crop(recipe: Recipe, picture: Picture, draws: list[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    augmentation = Augmentation(recipe.augmentation, recipe.crop)
    base = (recipe.input.height, recipe.input.width)
    given = tf.constant(draws + [0.0] * (DRAWS - len(draws)))
    pixels, label = augmentation.crop(picture.pixels, picture.label[..., None], base, given)
    return pixels.numpy(), label.numpy()[..., 0]


def test_zoom_one_over_the_whole_input_is_the_picture_itself(make_recipe: Make) -> None:
    recipe = make_recipe(augmentation=PLAIN, crop=[32, 64])
    picture = coded(32, 64)
    pixels, label = crop(recipe, picture, [0.5, 0.5, 0.3, 0.9])
    np.testing.assert_allclose(pixels, picture.pixels, atol=1e-3)
    np.testing.assert_array_equal(label, picture.label)


def test_pixels_and_labels_move_together(make_recipe: Make) -> None:
    recipe = make_recipe(augmentation={**PLAIN, "scale": [0.5, 2], "aspect": [0.5, 2]})
    picture = coded(96, 96)
    for seed in range(8):
        draws = np.random.default_rng(seed).random(4).tolist()
        pixels, label = crop(recipe, picture, draws)
        rows, columns = pixels[..., 0], pixels[..., 1]
        # Away from the classes' borders and the edge of the picture.
        inner = (rows > 25) & (rows < 94) & (columns > 1) & (columns < 94)
        inner &= np.abs((columns + 0.5) % 32 - 16) < 14
        assert inner.sum() > 50
        np.testing.assert_array_equal(label[inner], (columns[inner] + 0.5) // 32)
        assert (label[(rows > 1) & (rows < 22)] == 255).all(), "ignored stays ignored"


def test_beyond_the_picture_is_ignored(make_recipe: Make) -> None:
    recipe = make_recipe(augmentation={**PLAIN, "scale": [0.5, 0.5]}, crop=[32, 64])
    label = np.zeros((32, 64), np.uint8)
    pixels, cropped = crop(
        recipe, Picture(np.full((32, 64, 3), 9, np.uint8), label), [0, 0, 0.5, 0.5]
    )
    inside = pixels[..., 0] > 0
    assert 0.2 < inside.mean() < 0.3
    assert (cropped[inside] == 0).all()
    assert (cropped[~inside] == 255).all()


def test_beyond_the_picture_is_told_from_ignored(make_recipe: Make) -> None:
    recipe = make_recipe(augmentation={**PLAIN, "scale": [0.5, 0.5]}, crop=[32, 64])
    label = np.full((32, 64, 1), 255, np.uint8)
    label[:, 32:] = 7
    augmentation = Augmentation(recipe.augmentation, recipe.crop, beyond=254)
    draws = tf.constant([0, 0, 0.5, 0.5, 0, 0, 0])
    pixels, found = augmentation.crop(np.full((32, 64, 3), 9, np.uint8), label, (32, 64), draws)
    inside = pixels.numpy()[..., 0] > 0
    values, counts = np.unique(found.numpy()[..., 0][inside], return_counts=True)
    assert values.tolist() == [7, 255] and counts.min() > 0.4 * counts.sum()
    assert (found.numpy()[..., 0][~inside] == 254).all() and not inside.all()


def test_a_teacher_lets_batches_tell_what_is_beyond(make_recipe: Make) -> None:
    changes = {"augmentation": {**PLAIN, "scale": [0.3, 0.3]}}
    for teacher, values in ((None, {0, 1, 2, 255}), ({"teacher": "x"}, {0, 1, 2, 254, 255})):
        recipe = make_recipe(**changes, distillation=teacher)
        ((_, labels),) = collect(batches([coded(40, 60)], recipe, 0, 1))
        assert set(np.unique(labels)) == values


@pytest.mark.parametrize("value", [0, 1, 18, 254, 255])
def test_every_label_survives(make_recipe: Make, value: int) -> None:
    recipe = make_recipe(augmentation={**PLAIN, "scale": [1.7, 1.7]})
    picture = Picture(np.zeros((40, 50, 3), np.uint8), np.full((40, 50), value, np.uint8))
    _, label = crop(recipe, picture, [0.5, 0.5, 0.5, 0.5])
    assert (label == value).all()


def test_flip_mirrors_both_or_neither(make_recipe: Make) -> None:
    augmentation = Augmentation(
        make_recipe(augmentation={**PLAIN, "flip": True}).augmentation, (4, 6)
    )
    pixels = tf.random.stateless_uniform((2, 4, 6, 3), (1, 2), 0, 255)
    label = tf.cast(pixels[..., :1], tf.uint8)
    draws = np.zeros((2, DRAWS), np.float32)
    draws[:, 4] = 0.9, 0.1
    flipped, labels = augmentation.photo(pixels, label, tf.constant(draws))
    np.testing.assert_array_equal(flipped[0], pixels[0][:, ::-1])
    np.testing.assert_array_equal(labels[0], label[0][:, ::-1])
    np.testing.assert_array_equal(flipped[1], pixels[1])
    np.testing.assert_array_equal(labels[1], label[1])
    assert labels.dtype == tf.uint8


@pytest.mark.parametrize("flip", [False, True])
def test_vertical_flip(make_recipe: Make, flip: bool) -> None:
    settings = make_recipe(augmentation={**PLAIN, "flip": flip, "vertical_flip": True})
    augmentation = Augmentation(settings.augmentation, (4, 6))
    pixels = tf.random.stateless_uniform((4, 4, 6, 3), (1, 2), 0, 255)
    label = tf.cast(pixels[..., :1], tf.uint8)
    draws = np.zeros((4, DRAWS), np.float32)
    draws[:, 4] = 0.9, 0.6, 0.4, 0.1
    flipped, labels = augmentation.photo(pixels, label, tf.constant(draws))
    for index, (across, down) in enumerate([(1, 1), (1, 0), (0, 1), (0, 0)]):
        rows, columns = -1 if down else 1, -1 if across and flip else 1
        np.testing.assert_array_equal(flipped[index], pixels[index][::rows, ::columns])
        np.testing.assert_array_equal(labels[index], label[index][::rows, ::columns])


def test_brightness_and_contrast_against_numpy(make_recipe: Make) -> None:
    settings = make_recipe(augmentation={**PLAIN, "brightness": 0.1, "contrast": 0.3}).augmentation
    pixels = np.random.default_rng(0).uniform(90, 160, (2, 5, 7, 3)).astype(np.float32)
    draws = np.zeros((2, DRAWS), np.float32)
    draws[:, 5] = 0.75, 0.0
    draws[:, 6] = 1.0, 0.25
    out, _ = Augmentation(settings, (5, 7)).photo(
        tf.constant(pixels), tf.zeros((2, 5, 7, 1), tf.uint8), tf.constant(draws)
    )
    expected = pixels + np.array([0.5, -1.0])[:, None, None, None] * 25.5
    means = expected.mean((1, 2), keepdims=True)
    expected = means + (expected - means) * np.array([1.3, 0.85])[:, None, None, None]
    np.testing.assert_allclose(out, expected.clip(0, 255), rtol=1e-4)


def turned(make_recipe: Make, angle: float, picture: Picture) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the whole picture, turned by an angle of -90 to 90 degrees."""
    size = picture.label.shape
    settings = make_recipe(augmentation={**PLAIN, "rotation": 90}).augmentation
    draws = tf.constant([0.5] * DRAWS + [(angle + 90) / 180] + [0.0] * (MORE_DRAWS - 1))
    pixels, label = Augmentation(settings, size).crop(
        picture.pixels, picture.label[..., None], size, draws
    )
    return pixels.numpy(), label.numpy()[..., 0]


def test_a_quarter_turn_is_numpys(make_recipe: Make) -> None:
    picture = coded(64, 64)
    for angle, turns in ((90, 1), (0, 0), (-90, -1)):
        pixels, label = turned(make_recipe, angle, picture)
        np.testing.assert_allclose(pixels, np.rot90(picture.pixels, turns), atol=1e-2)
        np.testing.assert_array_equal(label, np.rot90(picture.label, turns))


def test_a_turn_moves_pixels_and_labels_together(make_recipe: Make) -> None:
    coded_picture = coded(96, 96)
    shown = coded_picture.pixels.copy()
    shown[..., 2] = 200
    picture = Picture(shown, coded_picture.label)
    for angle in (-40, 13, 77):
        pixels, label = turned(make_recipe, angle, picture)
        rows, columns = pixels[..., 0], pixels[..., 1]
        inner = (rows > 25) & (rows < 94) & (columns > 1) & (columns < 94)
        inner &= np.abs((columns + 0.5) % 32 - 16) < 14
        # At the picture's edge, pixels blend with the black beyond.
        inner &= pixels[..., 2] > 199.9
        assert inner.sum() > 1000
        np.testing.assert_array_equal(label[inner], (columns[inner] + 0.5) // 32)
        assert (label[0, 0], label[-1, -1]) == (255, 255), "corners lie beyond the picture"


def camera(make_recipe: Make, draws: list[float], **changes: Any) -> Any:
    """Return a function that gives crops the changes of a camera; draws left out are 0."""
    settings = make_recipe(augmentation={**PLAIN, **changes}).augmentation
    left = [0.0] * (MORE_DRAWS - 1 - len(draws))
    given = tf.constant([0.0] * (DRAWS + 1) + draws + left)
    return lambda pixels: Augmentation(settings, pixels.shape[:2]).camera(pixels, given).numpy()


def soft(height: int = 64, width: int = 96) -> NDArray[np.float32]:
    values = np.random.default_rng(3).integers(0, 256, (8, 12, 3), np.uint8)
    image = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def test_hue_and_saturation_against_colorsys(make_recipe: Make) -> None:
    pixels = soft(32, 32)
    out = camera(make_recipe, [0.75, 0.25], hue=0.2, saturation=0.4)(pixels)
    for y, x in np.random.default_rng(0).integers(0, 32, (50, 2)):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixels[y, x] / 255)
        expected = colorsys.hsv_to_rgb((hue + 0.1) % 1, min(1, 0.8 * saturation), value)
        np.testing.assert_allclose(out[y, x] / 255, expected, atol=1e-4)


def test_blur_against_scipy(make_recipe: Make) -> None:
    pixels = soft()
    out = camera(make_recipe, [0, 0, 0.5], blur=3)(pixels)
    expected = scipy.ndimage.gaussian_filter(pixels, (1.5, 1.5, 0), mode="mirror", truncate=6)
    np.testing.assert_allclose(out, expected, atol=0.1)
    np.testing.assert_allclose(camera(make_recipe, [], blur=3)(pixels), pixels, atol=1e-3)


@pytest.mark.parametrize(("draw", "quality"), [(0.0, 20), (0.5, 60), (0.93, 95)])
def test_jpeg_against_pillow(make_recipe: Make, draw: float, quality: int) -> None:
    pixels = soft()
    out = camera(make_recipe, [0, 0, 0, draw], jpeg=20)(pixels)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        expected = np.asarray(image, np.float32)
    # TensorFlow's library has a faster transform, which tells at high qualities.
    assert np.abs(out - expected).mean() < (3 if quality > 90 else 1)
    assert np.abs(out - expected).mean() < 0.5 * np.abs(out - pixels).mean() or quality > 90


def test_noise_is_gaussian_and_follows_from_the_draws(make_recipe: Make) -> None:
    pixels = np.full((64, 96, 3), 120, np.float32)
    settings = make_recipe(augmentation={**PLAIN, "noise": 0.2}).augmentation
    augmentation = Augmentation(settings, (64, 96))

    def noise(where: float, strength: float) -> NDArray[np.float32]:
        draws = tf.constant([where] * (DRAWS + MORE_DRAWS - 1) + [strength])
        return augmentation.camera(pixels, draws).numpy() - pixels

    found = noise(0.3, 0.5)
    assert scipy.stats.kstest(found.ravel(), "norm", (0, 255 * 0.1)).pvalue > 0.01
    assert abs(np.corrcoef(found.reshape(-1, 3).T) - np.eye(3)).max() < 0.05, "each channel's own"
    np.testing.assert_array_equal(found, noise(0.3, 0.5))
    np.testing.assert_allclose(noise(0.3, 0.25), found / 2, atol=1e-3)
    assert abs(np.corrcoef(found.ravel(), noise(0.4, 0.5).ravel())[0, 1]) < 0.05
    assert not noise(0.3, 0).any()


def test_noise_stays_in_range(make_recipe: Make) -> None:
    for value in (0.0, 255.0):
        pixels = np.full((32, 32, 3), value, np.float32)
        out = camera(make_recipe, [0, 0, 0, 0, 1], noise=0.5)(pixels)
        assert out.min() >= 0 and out.max() <= 255 and 0.4 < (out == value).mean() < 0.6


def test_further_changes_leave_the_crops_where_they_were(
    make_recipe: Make, pictures: list[Picture]
) -> None:
    changes = {"hue": 0.1, "saturation": 0.5, "blur": 1, "noise": 0.1, "jpeg": 50}
    ((plain, labels),) = collect(batches(pictures, make_recipe(), 0, 1))
    more = make_recipe(augmentation=changes)
    ((changed, same),) = collect(batches(pictures, more, 0, 1))
    np.testing.assert_array_equal(labels, same)
    assert changed.shape == plain.shape and np.isfinite(changed).all()
    assert 0.005 < np.abs(changed - plain).mean() < 0.3
    ((again, _),) = collect(batches(pictures, more, 0, 1))
    np.testing.assert_array_equal(changed, again)


def test_turned_batches(make_recipe: Make, pictures: list[Picture]) -> None:
    recipe = make_recipe(augmentation={"rotation": 30})
    ((images, labels),) = collect(batches(pictures, recipe, 0, 1))
    assert images.shape == (4, 32, 32, 3) and set(np.unique(labels)) <= {0, 1, 2, 255}


@pytest.mark.parametrize("channels", [1, 4])
def test_crops_of_other_channels(make_recipe: Make, channels: int) -> None:
    input = {"height": 32, "width": 64, "channels": channels}
    recipe = make_recipe(input=input, augmentation={"rotation": 10, "blur": 1, "contrast": 0.5})
    pixels = np.full((40, 60, channels), 90, np.uint8)
    ((images, labels),) = collect(batches([Picture(pixels, coded(40, 60).label)], recipe, 0, 1))
    assert images.shape == (4, 32, 32, channels) and labels.shape == (4, 32, 32)
    assert (labels < 255).any() and np.isfinite(images).all()


def test_contrast_of_grey_against_numpy(make_recipe: Make) -> None:
    settings = make_recipe(augmentation={**PLAIN, "contrast": 0.3}).augmentation
    pixels = np.random.default_rng(0).uniform(90, 160, (2, 5, 7, 1)).astype(np.float32)
    draws = np.zeros((2, DRAWS), np.float32)
    draws[:, 6] = 1.0, 0.25
    out, _ = Augmentation(settings, (5, 7)).photo(
        tf.constant(pixels), tf.zeros((2, 5, 7, 1), tf.uint8), tf.constant(draws)
    )
    means = pixels.mean((1, 2), keepdims=True)
    expected = means + (pixels - means) * np.array([1.3, 0.85])[:, None, None, None]
    np.testing.assert_allclose(out, expected, rtol=1e-4)


def test_order_is_a_permutation_in_each_pass() -> None:
    order = Order(7, seed=3)
    passes = [[order[7 * n + i] for i in range(7)] for n in range(4)]
    assert all(sorted(one) == list(range(7)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    assert [Order(7, seed=3)[i] for i in range(7)] == passes[0]
    assert [Order(7, seed=4)[i] for i in range(7)] != passes[0]


@pytest.fixture
def pictures() -> list[Picture]:
    return [coded(30 + index, 50 + index) for index in range(5)]


def test_a_letterboxed_picture_keeps_its_shape(make_recipe: Make) -> None:
    letterbox = {
        "height": 64,
        "width": 128,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "fit": "letterbox",
    }
    recipe = make_recipe(input=letterbox, crop=[64, 128], augmentation=PLAIN)
    picture = coded(64, 48)
    ((images, labels),) = collect(batches([picture], recipe, 0, 1))
    for image, label in zip(images, labels, strict=True):
        inside = np.flatnonzero(image[..., 2].any(0) | (label == 0).any(0))
        left = inside[0]
        assert 46 <= inside[-1] - left <= 47, "as wide as in proportion to its height"
        outside = np.delete(label, np.s_[left : left + 48], axis=1)
        assert (outside == 255).all()
    # A window of whole pixels shows the picture as it is; others blend neighbours.
    rows = images[0][:, inside[0] : inside[0] + 48, 0]
    np.testing.assert_allclose(rows[:, 20], np.arange(64), atol=1e-3)


def test_letterboxed_validation_measures_the_picture_alone(make_recipe: Make) -> None:
    letterbox = {"height": 64, "width": 128, "fit": "letterbox"}
    preprocessing = make_recipe(input=letterbox).preprocessing
    picture = at_network_size(coded(64, 48), preprocessing)
    assert picture.pixels.shape == (64, 128, 3) and picture.label.shape == (64, 48)
    assert not picture.pixels[:, :40].any() and not picture.pixels[:, 88:].any()
    network = tf.keras.Sequential([tf.keras.layers.Lambda(lambda x: x)])
    validator = Validator(network, None, preprocessing, {})  # type: ignore[arg-type]
    logits = validator.logits(picture)
    np.testing.assert_allclose(127.5 * logits + 127.5, picture.pixels[:, 40:88], atol=1e-4)


def collect(data: tf.data.Dataset) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    return [(images.numpy(), labels.numpy()) for images, labels in data]


def test_batches(make_recipe: Make, pictures: list[Picture]) -> None:
    recipe = make_recipe(input={"height": 32, "width": 64, "mean": [1, 2, 3], "std": [4, 5, 6]})
    found = collect(batches(pictures, recipe, 0, 3))
    assert len(found) == 3
    for images, labels in found:
        assert images.shape == (4, 32, 32, 3) and images.dtype == np.float32
        assert labels.shape == (4, 32, 32) and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, 1, 2, 255}
    pixels = np.concatenate([images for images, _ in found]) * [4, 5, 6] + [1, 2, 3]
    assert pixels.min() > -0.01 and pixels.max() < 255.01 and pixels.max() > 40


def test_a_step_does_not_depend_on_where_the_run_began(
    make_recipe: Make, pictures: list[Picture]
) -> None:
    recipe = make_recipe()
    whole = collect(batches(pictures, recipe, 0, 6))
    for first in (1, 4):
        for (a, b), (c, d) in zip(
            collect(batches(pictures, recipe, first, 6)), whole[first:], strict=True
        ):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)
    assert not np.array_equal(whole[0][0], whole[1][0])
    other = collect(batches(pictures, make_recipe(seed=1), 0, 1))
    assert not np.array_equal(other[0][0], whole[0][0])


def test_workers_and_replicas_share_the_same_batch(
    make_recipe: Make, pictures: list[Picture]
) -> None:
    recipe = make_recipe()
    whole = collect(batches(pictures, recipe, 2, 4))
    shares = [collect(batches(pictures, recipe, 2, 4, (i, 2), 2)) for i in range(2)]
    for step in range(2):
        parts = [part[0] for share in shares for part in share[2 * step : 2 * step + 2]]
        assert [len(part) for part in parts] == [1] * 4
        # Batched differently, contrast's means may be summed in another order.
        np.testing.assert_allclose(np.concatenate(parts), whole[step][0], atol=1e-4)
