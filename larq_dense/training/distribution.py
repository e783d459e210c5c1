"""Training on several devices or machines."""

from __future__ import annotations

import json
import os

from larq_dense.common.errors import LarqDenseError, RecipeError, UnknownNameError
from larq_dense.common.keras2 import tf

KINDS = ("mirrored", "multiworker")


class Distribution:
    """Which replicas there are, and this process's place among them."""

    def __init__(self, kind: str | None, batch_size: int) -> None:
        """Set the strategy up; for several workers, before TensorFlow has run anything.

        Args:
            kind: None for one device, `"mirrored"` for all devices of this machine,
                `"multiworker"` for the machines that TF_CONFIG names.
            batch_size: Crops in a step, over all replicas.

        Raises:
            UnknownNameError: No such kind.
            LarqDenseError: TF_CONFIG is missing or wrong.
            RecipeError: The batch cannot be divided evenly.
        """
        self.kind = kind
        self.worker, self.workers = 0, 1
        if kind == "multiworker":
            self.worker, self.workers = place(os.environ.get("TF_CONFIG", ""))
        self.strategy = _strategy(kind)
        self.replicas = self.strategy.num_replicas_in_sync
        self.is_chief = self.worker == 0
        if batch_size % self.replicas:
            raise RecipeError(
                f"batch_size {batch_size} cannot be divided among {self.replicas} replicas; "
                "make it a multiple."
            )

    def agree(self, value: float) -> float:
        """Return the mean of what the workers say, the same for all of them."""
        if self.workers == 1:
            return value
        each = self.strategy.run(lambda: tf.constant(value, tf.float64))
        return float(self.strategy.reduce(tf.distribute.ReduceOp.MEAN, each, axis=None))


def _strategy(kind: str | None) -> tf.distribute.Strategy:
    if kind is None:
        return tf.distribute.get_strategy()
    if kind == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if kind != "multiworker":
        raise UnknownNameError("distribution", kind, KINDS)
    return tf.distribute.MultiWorkerMirroredStrategy()


def place(config: str) -> tuple[int, int]:
    """Return this process's number, from 0, among the workers, and how many there are.

    Args:
        config: TF_CONFIG. The task of the type `"chief"`, or the first worker, is number 0.

    Raises:
        LarqDenseError: It is missing or wrong.
    """
    try:
        values = json.loads(config)
        cluster, task = values["cluster"], values["task"]
        known = [
            (kind, i) for kind in ("chief", "worker") for i in range(len(cluster.get(kind, ())))
        ]
        return known.index((task["type"], task["index"])), len(known)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LarqDenseError(
            "multi-worker training needs TF_CONFIG in the environment, with the workers' "
            'addresses and this one\'s index: {"cluster": {"worker": ["host:port", …]}, '
            '"task": {"type": "worker", "index": 0}}.'
        ) from error
