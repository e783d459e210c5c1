"""Run trainings in child processes of one process that has TensorFlow imported already.

Usage: forked_runs.py JOBS DATA, where JOBS is a JSON file: a list of
{"recipe": file, "run": folder, "kill": [seconds, ...], "distribute": null or kind, "norm": bool}.
Each number starts a child that is sent SIGKILL so long after its first new checkpoint; then one
child, or two workers, run to the end. Prints each run's steps at its kills as JSON.

The network is tiny, since what is tested here is everything around it.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback
from functools import partialmethod
from pathlib import Path
from typing import Any

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)

# isort: split
import larq as lq
import tensorflow as tf

from larq_dense.tasks import Task
from larq_dense.training import checkpoint, loop
from larq_dense.training.recipe import Recipe


def tiny_model(
    recipe: Recipe,
    input_shape: Any = None,
    precision: str | None = None,
    task: Task | None = None,
    imagenet: bool = False,
    norm: bool = True,
) -> tf.keras.Model:
    assert task is not None
    layers = tf.keras.layers
    x = inputs = tf.keras.Input(input_shape, name="image")
    x = layers.Conv2D(8, 3, 2, padding="same", name="stem")(x)
    if norm:
        x = layers.BatchNormalization(name="stem_norm")(x)
    x = lq.layers.QuantConv2D(
        8,
        3,
        padding="same",
        input_quantizer="approx_sign",
        kernel_quantizer="approx_sign",
        kernel_constraint="weight_clip",
        use_bias=False,
        name="binary",
    )(x)
    if norm:
        x = layers.BatchNormalization(name="binary_norm")(x)
    x = layers.Conv2D(task.num_outputs, 1, name="head")(x)
    return tf.keras.Model(
        inputs, layers.UpSampling2D(2, interpolation="bilinear", name="logits")(x)
    )


def train(job: dict[str, Any], data: str) -> None:
    Recipe.build_model = partialmethod(tiny_model, norm=job["norm"])  # type: ignore
    if job["distribute"] == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)
    recipe = Recipe.load(job["recipe"])
    loop.train(recipe, data, job["run"], distribute=job["distribute"], progress=False)


def start(job: dict[str, Any], data: str, **environment: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(environment)
        train(job, data)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def kill_after_steps(child: int, run: Path, steps: int) -> int:
    """Return the number of steps in the checkpoint that the killed child left.

    Steps count, not seconds: a fast machine would be through before it is killed.
    """
    end = steps_in_checkpoint(run) + steps
    while steps_in_checkpoint(run) < end:
        time.sleep(0.001)
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the run ended by itself"
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the run ended before it was killed"
    return steps_in_checkpoint(run)


def steps_in_checkpoint(run: Path) -> int:
    progress = checkpoint.read_progress(run)
    return progress.step if progress else 0


def addresses(count: int) -> list[str]:
    """Return free ports of the loopback interface."""
    found = [socket.socket() for _ in range(count)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    names = [f"127.0.0.1:{one.getsockname()[1]}" for one in found]
    for one in found:
        one.close()
    return names


def start_workers(job: dict[str, Any], data: str) -> list[int]:
    cluster = {"worker": addresses(2)}
    return [
        start(
            job,
            data,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]


def main() -> None:
    data = sys.argv[2]
    steps: dict[str, list[int]] = {}
    for job in json.loads(Path(sys.argv[1]).read_text()):
        steps[job["run"]] = [
            kill_after_steps(start(job, data), Path(job["run"]), count) for count in job["kill"]
        ]
        several = job["distribute"] == "multiworker"
        children = start_workers(job, data) if several else [start(job, data)]
        for child in children:
            assert os.waitpid(child, 0)[1] == 0, job["run"]
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
