"""The input pipeline: pictures in memory → random crops → augmented, normalized batches.

Every random choice is a function of the seed and of a crop's position in the run, not of a
generator's state: a run that resumes at step n sees what it would have seen anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.keras2 import tf
from larq_dense.training.augmentation import DRAWS, MORE_DRAWS, Augmentation
from larq_dense.training.pictures import IGNORE, OUTSIDE, Picture

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe


# Autograph would rewrite the steps of the pipeline at every start, and has nothing to do.
@tf.autograph.experimental.do_not_convert
def batches(
    pictures: Sequence[Picture],
    recipe: Recipe,
    first_step: int,
    last_step: int,
    share: tuple[int, int] = (0, 1),
    replicas: int = 1,
) -> tf.data.Dataset:
    """Return the batches of some steps.

    Args:
        pictures: Decoded training pictures.
        recipe: Gives crop, input size, batch size, augmentation and seed.
        first_step: Number of the first step, from 0.
        last_step: Number after that of the last step.
        share: (i, n): the i-th of n equal parts of each step's batch, for worker i of n.
        replicas: Replicas that this pipeline feeds, each in turn with a batch of its own.

    Returns:
        A data set of (float32 `[batch, height, width, 3]`, normalized; uint8
        `[batch, height, width]`, class ids, 255 where ignored, and where there is a teacher 254
        beyond the picture), where batch is the recipe's, divided among workers and replicas.
    """
    crops = recipe.batch_size
    part = crops // share[1]
    start = share[0] * part
    beyond = OUTSIDE if recipe.distillation else IGNORE
    augment = Augmentation(recipe.augmentation, recipe.crop, beyond)
    order = Order(len(pictures), recipe.seed)
    size = (recipe.input.height, recipe.input.width)
    mean = tf.constant(recipe.input.mean, tf.float32)
    std = tf.constant(recipe.input.std, tf.float32)

    def positions(step: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(step * crops + start, step * crops + start + part)

    def fetch(position: np.int64) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        picture = pictures[order[int(position)]]
        return picture.pixels, picture.label[..., None]

    def crop(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        pixels, label = tf.numpy_function(fetch, [position], (tf.uint8, tf.uint8), stateful=False)
        pixels.set_shape((None, None, recipe.input.channels))
        label.set_shape((None, None, 1))
        draws = draw(DRAWS, recipe.seed, position)
        if recipe.augmentation.rotation or recipe.augmentation.like_a_camera:
            # No recipe has such a seed. Crops are those of a recipe without these changes.
            more = draw(MORE_DRAWS, recipe.seed + 2**31, position)
            draws = tf.concat([draws, more], 0)
        base = size if recipe.input.fit == "stretch" else letterboxed(tf.shape(pixels), size)
        pixels, label = augment.crop(pixels, label, base, draws)
        if recipe.augmentation.like_a_camera:
            pixels = augment.camera(pixels, draws)
        return pixels, label, draws

    def finish(pixels: tf.Tensor, label: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, ...]:
        pixels, label = augment.photo(pixels, label, draws)
        return (pixels - mean) / std, label[..., 0]

    data = tf.data.Dataset.range(first_step, last_step).flat_map(positions)
    data = data.map(crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    data = data.batch(part // replicas, drop_remainder=True)
    data = data.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return data.with_options(options).prefetch(2 * replicas)


def draw(count: int, seed: int, position: tf.Tensor) -> tf.Tensor:
    """Return numbers of 0…1 that follow from a seed and a crop's position in the run."""
    return tf.random.stateless_uniform([count], [tf.constant(seed, tf.int64), position])


def letterboxed(shape: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return how many rows and columns a picture fills of an input that keeps its shape."""
    height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
    scale = tf.minimum(size[0] / height, size[1] / width)
    return scale * height, scale * width


class Order:
    """The order of the pictures: pass after pass, each in a random order of its own."""

    def __init__(self, count: int, seed: int) -> None:
        """Prepare.

        Args:
            count: Number of pictures.
            seed: Of all orders.
        """
        self._count = count

        @lru_cache(maxsize=2)
        def order(number: int) -> NDArray[np.int64]:
            return np.random.default_rng((seed, number)).permutation(count)

        self._order = order

    def __getitem__(self, position: int) -> int:
        """Return the index of the picture at a position in the run."""
        return int(self._order(position // self._count)[position % self._count])
