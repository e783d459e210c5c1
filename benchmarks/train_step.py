"""Times a step of training, the data's preparation apart, without oneDNN and with it.

    python benchmarks/train_step.py zoo/idd_lite/recipe.yaml

Each measurement has a process to itself, because TensorFlow decides once; they take turns, and the
fastest of each counts. The recipe's network in full precision is timed for comparison.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import click

from larq_dense.common.markdown import markdown_table

PRECISIONS = ("binary", "float")


@click.command()
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False))
@click.option("--steps", default=4, show_default=True, help="Steps in one measurement.")
@click.option("--rounds", default=3, show_default=True, help="Measurements of each.")
@click.option("--only", type=click.Choice(PRECISIONS), hidden=True, help="Measure here, once.")
def main(recipe: str, steps: int, rounds: int, only: str | None) -> None:
    """Time a step of RECIPE's training, without its teacher."""
    if only:
        click.echo(seconds_a_step(recipe, only, steps))
        return
    rows = []
    for precision in PRECISIONS:
        command = [sys.executable, __file__, recipe, f"--steps={steps}", f"--only={precision}"]
        times: dict[str, list[float]] = {"0": [], "1": []}
        for _ in range(rounds):
            for switch, found in times.items():
                environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": switch}
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
                found.append(float(done.stdout.split()[-1]))
        without, with_it = min(times["0"]), min(times["1"])
        rows.append([precision, f"{without:.2f}", f"{with_it:.2f}", f"{with_it / without:.2f}"])
    header = ["network", "s a step", "with oneDNN", "ratio"]
    click.echo(markdown_table(header, rows))


def seconds_a_step(path: str, precision: str, steps: int) -> float:
    """Return the mean time of some steps on noise, after two that are not counted."""
    import numpy as np
    import tensorflow as tf

    from larq_dense.training.losses import make_loss
    from larq_dense.training.recipe import Recipe
    from larq_dense.training.step import make_optimizers, make_train_step

    recipe = Recipe.load(path)
    task = recipe.get_task(".")
    classes = len(task.classes)
    model = recipe.build_model((None, None, 3), precision, task)
    optimizers = make_optimizers(model, recipe.optimizer, 100)
    loss = make_loss(recipe.loss, task, np.full(classes, 1 / classes))
    step = make_train_step(model, optimizers, loss)
    shape = (recipe.batch_size, *recipe.crop)
    images = tf.random.normal((*shape, 3))
    labels = tf.cast(tf.random.uniform(shape, 0, classes, tf.int32), tf.uint8)
    for _ in range(2):
        step(images, labels).numpy()
    start = time.perf_counter()
    for _ in range(steps):
        step(images, labels).numpy()
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    main()
