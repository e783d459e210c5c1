"""Augmentation by keras-cv's layers and tf.image, driven by draws that are handed in."""

from __future__ import annotations

import contextlib
import math
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
# Where a recipe asks for any of it: rotation, hue, saturation, blur, JPEG, noise.
MORE_DRAWS = 6
# Of a Gauss curve, in sigmas: beyond it next to nothing is left.
_REACH = 3


class Augmentation:
    """Augmentation with draws handed in instead of made by the layers."""

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
        self._reach = math.ceil(_REACH * settings.blur)
        self._blur = keras_cv.layers.RandomGaussianBlur(2 * self._reach + 1, 1.0, seed=1)

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
            draws: float32 `[7]`, 0…1, or `[13]` where the crop is turned.

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
        if self._settings.rotation:
            angle = math.radians(self._settings.rotation) * (2 * draws[DRAWS] - 1)
            return self._turned(pixels, label, window[0], angle)
        shifted = tf.cast(label + tf.constant(self._shift, tf.uint8), tf.float32)
        pixels = self._crop.augment_image(tf.cast(pixels, tf.float32), window)
        shifted = self._crop.augment_segmentation_mask(shifted, window)
        label = tf.cast(shifted, tf.uint8) - tf.constant(self._shift, tf.uint8)
        return self._whole(pixels), self._whole(label)

    def _turned(
        self, pixels: tf.Tensor, label: tf.Tensor, window: tf.Tensor, angle: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Cut a window that is turned about its middle; what is in its corners is seen, too."""
        rows, columns = self._size
        last = tf.cast(tf.shape(pixels)[:2] - 1, tf.float32)
        # Steps in the picture for one pixel of the crop, and where the middle lies.
        down = (window[2] - window[0]) * last[0] / (rows - 1)
        across = (window[3] - window[1]) * last[1] / (columns - 1)
        y, x = (window[0] + window[2]) * last[0] / 2, (window[1] + window[3]) * last[1] / 2
        cosine, sine = tf.cos(angle), tf.sin(angle)
        right, below = (columns - 1) / 2, (rows - 1) / 2
        lines = [across * cosine, -across * sine, x - across * (cosine * right - sine * below)]
        lines += [down * sine, down * cosine, y - down * (sine * right + cosine * below), 0.0, 0.0]
        common = {
            "transforms": tf.stack(lines)[None],
            "output_shape": tf.constant(self._size, tf.int32),
            "fill_mode": "CONSTANT",
        }
        turn = tf.raw_ops.ImageProjectiveTransformV3
        pixels = tf.cast(pixels, tf.float32)[None]
        pixels = turn(images=pixels, fill_value=0.0, interpolation="BILINEAR", **common)[0]
        beyond = float(256 - self._shift)
        label = turn(images=label[None], fill_value=beyond, interpolation="NEAREST", **common)[0]
        return self._whole(pixels), self._whole(label)

    def camera(self, pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Change a crop as other light, another lens and a file would.

        Args:
            pixels: float32 `[rows, columns, 3]`, 0…255.
            draws: float32 `[13]`, 0…1.

        Returns:
            As they came.
        """
        settings = self._settings
        hue, saturation, blur, jpeg, noise = tf.unstack(draws[DRAWS + 1 :])
        pixels = pixels / 255
        if settings.hue:
            pixels = tf.image.adjust_hue(pixels, settings.hue * (2 * hue - 1))
        if settings.saturation:
            factor = 1 + settings.saturation * (2 * saturation - 1)
            pixels = tf.image.adjust_saturation(pixels, factor)
        if settings.blur:
            pixels = self._blurred(pixels, settings.blur * blur)
        if settings.noise:
            # What was drawn for this crop is the seed of its noise, too.
            seed = tf.bitcast(draws[:2], tf.int32)
            noises = tf.random.stateless_normal(tf.shape(pixels), seed)
            pixels = tf.clip_by_value(pixels + settings.noise * noise * noises, 0, 1)
        if settings.jpeg is not None:
            quality = settings.jpeg + tf.cast(jpeg * (101 - settings.jpeg), tf.int32)
            pixels = tf.image.adjust_jpeg_quality(pixels, quality)
        return self._whole(255 * pixels)

    def _whole(self, crop: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(crop, (*self._size, crop.shape[-1]))

    def _blurred(self, pixels: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
        around = [[self._reach, self._reach]] * 2
        # The layer would let black in from beyond the border.
        pixels = tf.pad(pixels, [*around, [0, 0]], "REFLECT")
        kernel = self._blur.get_kernel(tf.maximum(sigma, 1e-3), 2 * self._reach + 1)
        kernels = tf.reshape(kernel, [-1, 1, 1, 1]), tf.reshape(kernel, [1, -1, 1, 1])
        pixels = self._blur.augment_image(pixels, kernels)
        return pixels[self._reach : -self._reach, self._reach : -self._reach]

    def photo(
        self, pixels: tf.Tensor, label: tf.Tensor, draws: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mirror, lighten and harden a batch of crops, each by its own draws.

        Args:
            pixels: float32 `[batch, rows, columns, 3]`, 0…255.
            label: uint8 `[batch, rows, columns, 1]`.
            draws: float32 `[batch, 7]`, 0…1, or more, which are not used.

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
            pixels = self._contrasted(pixels, factor)
        return pixels, label

    def _contrasted(self, pixels: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        if pixels.shape[-1] == 3:
            return self._contrast.augment_images(pixels, factor)
        # The layer's mean is that of grey values, which it takes from RGB.
        mean = tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True)
        return tf.clip_by_value(mean + factor * (pixels - mean), 0, 255)


def _log_range(bounds: tuple[float, float], draw: tf.Tensor) -> tf.Tensor:
    low, high = np.log(bounds[0]), np.log(bounds[1])
    return tf.exp(tf.cast(low, tf.float32) + tf.cast(high - low, tf.float32) * draw)
