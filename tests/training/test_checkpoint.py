"""A run's state on disk."""

from pathlib import Path

import numpy as np
import pytest

from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.training import Run
from larq_dense.training.checkpoint import (
    Progress,
    read_progress,
    restore_state,
    save_state,
)

# isort: split
import tensorflow as tf


def variables() -> list[tf.Variable]:
    values = (
        np.array([[1.5, -0.0], [np.pi, 1e-38]], np.float32),
        np.float32(0.1),
        np.int64(2**40),
        np.eye(3),
    )
    return [tf.Variable(value, name="same") for value in values]


def save(folder: Path, progress: Progress) -> None:
    found = variables()
    save_state(folder, [v.name for v in found], [v.numpy() for v in found], progress)


def test_round_trip(tmp_path: Path) -> None:
    progress = Progress(step=7, loss_sum=0.1 + 0.2, loss_count=2, best=1 / 3, best_epoch=1)
    progress.best_results = {"a": {"metrics": {"miou": 0.5}}}
    save(tmp_path, progress)
    assert read_progress(tmp_path) == progress
    targets = [tf.Variable(tf.zeros_like(v), name="same") for v in variables()]
    restore_state(tmp_path, targets)
    for target, source in zip(targets, variables(), strict=True):
        assert target.numpy().tobytes() == source.numpy().tobytes()
    assert [*Run(tmp_path).checkpoint.parent.iterdir()] == [Run(tmp_path).checkpoint]


def test_none_yet(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_cut_file(tmp_path: Path, keep: int) -> None:
    save(tmp_path, Progress(step=1))
    path = Run(tmp_path).checkpoint
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="damaged"):
        read_progress(tmp_path)
    with pytest.raises(WeightsError, match="damaged"):
        restore_state(tmp_path, variables())


def test_another_models_state(tmp_path: Path) -> None:
    save(tmp_path, Progress(step=1))
    found = variables()
    others = [
        found[:-1],
        [*found, tf.Variable(1.0, name="more")],
        [tf.Variable(tf.zeros((4,)), name="same"), *found[1:]],
        [tf.Variable(found[0], name="other"), *found[1:]],
    ]
    for other in others:
        before = [v.numpy() for v in other]
        with pytest.raises(WeightsError, match="another model"):
            restore_state(tmp_path, other)
        for old, variable in zip(before, other, strict=True):
            np.testing.assert_array_equal(old, variable)


def test_a_full_disk_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, Progress(step=1))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LarqDenseError, match="No space left"):
        save(tmp_path, Progress(step=2))
    found = read_progress(tmp_path)
    assert found is not None and found.step == 1
    assert [*Run(tmp_path).checkpoint.parent.iterdir()] == [Run(tmp_path).checkpoint]
