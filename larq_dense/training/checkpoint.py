"""The state of a run in one file: weights, optimizers' slots, counters, best metric.

One file, renamed into place, is either the old state or the new one, whenever the process dies.
It is safetensors with JSON in its header: nothing in it can run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from larq_dense.common.errors import WeightsError
from larq_dense.common.files import write_bytes
from larq_dense.common.keras2 import tf
from larq_dense.training.run import Run


@dataclass
class Progress:
    """How far a run is. Random choices follow from the seed and `step` alone.

    Attributes:
        step: Steps done.
        positions: Training pictures in one pass, from which order and length follow; None in
            checkpoints that older versions wrote.
        loss_sum: Sum of this epoch's losses so far.
        loss_count: Their number.
        best: Highest score so far; None before the first validation.
        best_epoch: Epoch, from 1, of the best score.
        best_results: Its results by validation source.
        waited: Validations since then.
        seconds: Time spent on training and validation, over all sessions.
        finished: Nothing is left to do.
        stopped_early: Finished before its last step, by `early_stop`.
    """

    step: int = 0
    positions: int | None = None
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_epoch: int | None = None
    best_results: dict[str, Any] = field(default_factory=dict)
    waited: int = 0
    seconds: float = 0.0
    finished: bool = False
    stopped_early: bool = False

    @property
    def loss(self) -> float:
        """Mean of this epoch's losses so far."""
        return self.loss_sum / max(1, self.loss_count)


def save_state(
    run_dir: Path, names: Sequence[str], values: Sequence[NDArray[Any]], progress: Progress
) -> None:
    """Write a run's state atomically.

    Args:
        run_dir: The run's folder.
        names: Of the variables of model and optimizers, always in the same order.
        values: Their values.
        progress: Counters.
    """
    tensors = {
        _key(i, name): np.asarray(value, order="C")
        for i, (name, value) in enumerate(zip(names, values, strict=True))
    }
    write_bytes(Run(run_dir).checkpoint, save(tensors, {"progress": json.dumps(asdict(progress))}))


def read_progress(run_dir: Path) -> Progress | None:
    """Return a run's counters, or None if it has no checkpoint.

    Raises:
        WeightsError: The file is damaged.
    """
    path = Run(run_dir).checkpoint
    if not path.exists():
        return None
    try:
        with safe_open(str(path), "numpy") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def restore_state(run_dir: Path, variables: Sequence[tf.Variable]) -> None:
    """Assign a run's state to the variables that it was saved from.

    Raises:
        WeightsError: The file is damaged or belongs to another model.
    """
    path = Run(run_dir).checkpoint
    try:
        with safe_open(str(path), "numpy") as file:
            values = [file.get_tensor(_key(i, v.name)) for i, v in enumerate(variables)]
            complete = len(values) == len(file.keys())
    except (SafetensorError, OSError) as error:
        raise _damaged(path) from error
    if not complete or any(
        value.shape != tuple(variable.shape)
        for value, variable in zip(values, variables, strict=True)
    ):
        raise _damaged(path)
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)


def _key(index: int, name: str) -> str:
    # Keras does not promise that names are unique.
    return f"{index:05d} {name}"


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"the checkpoint {path} is damaged or belongs to another model; train in another folder, "
        "by `--init` from the best weights here if there are any."
    )
