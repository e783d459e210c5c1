"""keras-cv's augmentation layers, driven by draws that are handed in."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import numpy as np

# keras-cv's backend announces itself on standard output, where results belong.
with contextlib.redirect_stdout(sys.stderr):
    import keras_cv

from larq_dense.common.keras2 import tf
from larq_dense.training.pictures import IGNORE

if TYPE_CHECKING:
    from larq_dense.training.settings import AugmentationSettings

# For each crop: zoom, stretch, offset down, offset right, flip, brightness, contrast.
DRAWS = 7


class Augmentation:
    """keras-cv's augmentation, with draws handed in instead of made by the layers."""

    def __init__(
        self, settings: AugmentationSettings, crop: tuple[int, int], beyond: int = IGNORE
    ) -> None:
        """Make the layers.

        Args:
            settings: Ranges.
            crop: Rows and columns of the crops.
            beyond: What labels say beyond the picture.
        """
        # The layer pads with 0. Shifted by so much, in 8 bits, 0 is what `beyond` was.
        self._shift = 256 - beyond
        self._settings = settings
        self._size = crop
        # The layers never draw, so their ranges do not matter; without a seed they would ask for
        # the global generator, which deterministic mode forbids.
        self._crop = keras_cv.layers.RandomCropAndResize(crop, (1.0, 1.0), (1.0, 1.0), seed=1)
        self._flip = keras_cv.layers.RandomFlip("horizontal_and_vertical", seed=1)
        self._brightness = keras_cv.layers.RandomBrightness(0.5, seed=1)
        self._contrast = keras_cv.layers.RandomContrast((0, 255), 0.5, seed=1)

    def crop(
        self,
        pixels: tf.Tensor,
        label: tf.Tensor,
        base: tuple[int, int] | tuple[tf.Tensor, tf.Tensor],
        draws: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Cut a random window from a picture, zoomed and stretched.

        Args:
            pixels: uint8 `[height, width, 3]`.
            label: uint8 `[height, width, 1]`.
            base: Rows and columns that a picture fills of the network's input, which a zoom of 1
                refers to.
            draws: float32 `[7]`, 0…1.

        Returns:
            float32 `[rows, columns, 3]`, 0…255, black beyond the picture; uint8
            `[rows, columns, 1]`, 255 where ignored, `beyond` outside of the picture.
        """
        zoom = _log_range(self._settings.scale, draws[0])
        stretch = tf.sqrt(_log_range(self._settings.aspect, draws[1]))
        height = self._size[0] / (zoom * base[0]) * stretch
        width = self._size[1] / (zoom * base[1]) / stretch
        top, left = (1 - height) * draws[2], (1 - width) * draws[3]
        window = tf.stack([top, left, top + height, left + width])[None]
        shifted = tf.cast(label + tf.constant(self._shift, tf.uint8), tf.float32)
        pixels = self._crop.augment_image(tf.cast(pixels, tf.float32), window)
        shifted = self._crop.augment_segmentation_mask(shifted, window)
        label = tf.cast(shifted, tf.uint8) - tf.constant(self._shift, tf.uint8)
        return tf.ensure_shape(pixels, (*self._size, 3)), tf.ensure_shape(label, (*self._size, 1))

    def photo(
        self, pixels: tf.Tensor, label: tf.Tensor, draws: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mirror, lighten and harden a batch of crops, each by its own draws.

        Args:
            pixels: float32 `[batch, rows, columns, 3]`, 0…255.
            label: uint8 `[batch, rows, columns, 1]`.
            draws: float32 `[batch, 7]`, 0…1.

        Returns:
            Both, as they came in shape and range.
        """
        settings = self._settings
        if settings.flip or settings.vertical_flip:
            draw, never = draws[:, 4:5], tf.zeros_like(draws[:, :1])
            flips = {
                "flip_horizontals": draw if settings.flip else never,
                # One draw decides both: its halves, and the halves of these.
                "flip_verticals": tf.math.floormod(2 * draw, 1)
                if settings.vertical_flip
                else never,
            }
            pixels = self._flip.augment_images(pixels, flips)
            label = self._flip.augment_segmentation_masks(label, flips)
        balanced = (2 * draws - 1)[:, :, None, None, None]
        if settings.brightness:
            shift = balanced[:, 5] * (255 * settings.brightness)
            pixels = self._brightness.augment_images(pixels, shift)
        if settings.contrast:
            factor = 1 + balanced[:, 6] * settings.contrast
            pixels = self._contrast.augment_images(pixels, factor)
        return pixels, label


def _log_range(bounds: tuple[float, float], draw: tf.Tensor) -> tf.Tensor:
    low, high = np.log(bounds[0]), np.log(bounds[1])
    return tf.exp(tf.cast(low, tf.float32) + tf.cast(high - low, tf.float32) * draw)
