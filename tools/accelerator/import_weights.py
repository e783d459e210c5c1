"""End trainings that come back from `train.py`: the last step, validation, best weights.

    python tools/accelerator/import_weights.py RESULTS runs/teacher runs/student ... --data DATA

Each becomes a run like any other, which can be evaluated, learned from and published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.common.files import DAMAGED_ZIP
from larq_dense.common.keras2 import tf
from larq_dense.models.weights import LATENT_MAGNITUDE
from larq_dense.training import loop
from larq_dense.training.checkpoint import Progress
from larq_dense.training.distribution import Distribution
from larq_dense.training.run import Run
from larq_dense.training.session import Session, load_data
from larq_dense.zoo import find_trained


def read(path: Path, shapes: dict[str, tuple[int, ...]]) -> tuple[dict[str, np.ndarray], float]:
    """Return a trained model's variables by name, and how many seconds it trained.

    Args:
        path: What `train.py` wrote.
        shapes: Of the variables.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    try:
        with np.load(path) as archive:
            found = dict(archive)
    except (OSError, ValueError, *DAMAGED_ZIP) as error:
        raise WeightsError(f"cannot read {path} ({error}); train it, or get it again.") from error
    seconds = float(found.pop("#log")[-1, -1])
    for key in [key for key in found if key.startswith("signs:")]:
        name = key.removeprefix("signs:")
        negative = np.unpackbits(found.pop(key), count=int(np.prod(shapes[name])))
        found[name] = np.where(negative, -LATENT_MAGNITUDE, LATENT_MAGNITUDE).reshape(shapes[name])
    return found, seconds


def import_weights(path: Path, run: Path, data_root: Path) -> None:
    """Write a run's checkpoint before its last step, and train to the end.

    Args:
        path: The trained model.
        run: The run's folder, with its recipe.
        data_root: The data root.
    """
    recipe = Run(run).recipe()
    task = recipe.get_task(data_root)
    data = load_data(recipe, task, data_root)
    total, _ = recipe.total_steps(data.positions)
    session = Session(
        recipe, task, data, Distribution(None, recipe.batch_size), total, find_trained
    )
    shapes = {v.name: tuple(v.shape) for v in session.plain.weights}
    values, seconds = read(path, shapes)
    session.import_weights(values, total - 1)
    session.save(run, Progress(step=total - 1, positions=data.positions, seconds=seconds))
    loop.train(recipe, data_root, run, find=find_trained)


def main() -> None:
    """Import the weights of every run that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="data root")
    given = parser.parse_args()
    try:
        for run in given.runs:
            import_weights(given.results / f"{run.name}.npz", run, given.data)
            tf.keras.backend.clear_session()
    except LarqDenseError as error:
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    main()
