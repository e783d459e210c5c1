"""Write trainings as XLA programs, with their pictures: what `train.py` runs where JAX alone is.

    python tools/accelerator/export.py PACK runs/teacher runs/student ... --data DATA

Each run's folder holds a `recipe.yaml` and no more; it may begin with, or learn from, one that
stands before it, an entry, or a run that was trained already, whose weights are then packed.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from picture_pack import Pictures
from xla_friendly import friendly_operators

from larq_dense import models
from larq_dense.common.errors import LarqDenseError, RecipeError, WeightsError
from larq_dense.common.keras2 import tf
from larq_dense.models.weights import save_weights
from larq_dense.tasks import Task
from larq_dense.training.distribution import Distribution
from larq_dense.training.pictures import IGNORE, OUTSIDE
from larq_dense.training.recipe import Recipe
from larq_dense.training.run import Run
from larq_dense.training.session import Data, Session, load_data
from larq_dense.zoo import find_trained

STEPS = 8
"""Steps in one call of a program: handing over a thousand variables takes as long as a step."""
SMALL = 4096
"""Variables of more values than this are drawn again where they would be random anyway."""


def check(run: Path, recipe: Recipe, before: Sequence[Path]) -> None:
    """Refuse a recipe that cannot be trained elsewhere.

    Args:
        run: Its folder.
        recipe: What stands there.
        before: The folders of the runs that are trained before it.

    Raises:
        RecipeError: Its length is not in steps, or its pictures are to be changed in a way that
            `train.py` does not know.
        WeightsError: It wants weights that are neither here nor will be there.
    """
    augmentation = recipe.augmentation
    unknown = augmentation.vertical_flip or augmentation.rotation or augmentation.like_a_camera
    if unknown or recipe.input.fit != "stretch":
        raise RecipeError(
            f"{run} asks for letterboxed pictures, or for more augmentation than zoom, stretch, "
            "mirroring, brightness and contrast, which this does not make; train it here."
        )
    if len(recipe.teachers) > 1:
        raise RecipeError(
            f"{run} learns from an ensemble, and this takes one teacher; train it here."
        )
    if recipe.steps is None:
        raise RecipeError(f"{run} is to train for epochs; give its recipe steps.")
    for source in (recipe.init, *recipe.teachers):
        if source and Path(source) not in before:
            try:
                find_trained(source).weights()
            except WeightsError as error:
                raise WeightsError(
                    f"{run} needs {source}, which has no weights here; name that run's folder "
                    "before it, or train it."
                ) from error


class Stage:
    """One training: the session whose step is to be written, and what its variables are."""

    def __init__(
        self, recipe: Recipe, task: Task, data: Data, root: Path, before: Sequence[Path]
    ) -> None:
        """Build the network, its optimizers and its teacher, with what weights are here.

        Args:
            recipe: What to train.
            task: The recipe's task.
            data: Its pictures.
            root: The data root, for an encoder's weights.
            before: The folders of the runs that are trained before it, whose weights are not here.
        """
        assert recipe.steps is not None
        tf.keras.utils.set_random_seed(recipe.seed)
        place = Distribution(None, recipe.batch_size)
        teacher = recipe.distillation and recipe.distillation.teacher
        self.recipe = recipe
        self.init = recipe.init if recipe.init and Path(recipe.init) in before else None
        self.teacher = teacher if teacher and Path(teacher) in before else None
        with tempfile.TemporaryDirectory() as folder:
            here = recipe
            if self.teacher:
                here = with_untrained_teacher(recipe, task, root, Path(folder))
            self.session = Session(here, task, data, place, recipe.steps, find_trained)
        if recipe.encoder_weights:
            self.session.initialize_encoder(root / recipe.encoder_weights)
        if recipe.init and not self.init:
            self.session.initialize(recipe.init)

    def program(self) -> Any:
        """Return `STEPS` steps as one function of as many batches; it returns their mean loss."""
        step = self.session.train_step.python_function

        @tf.function(jit_compile=True, autograph=False)
        def steps(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            _, total = tf.while_loop(
                lambda i, _: i < STEPS,
                lambda i, total: (i + 1, total + step(images[i], labels[i])),
                (tf.constant(0), tf.constant(0.0)),
                maximum_iterations=STEPS,
            )
            return total / STEPS

        return steps

    def names(self) -> dict[int, str]:
        """Return what each variable is, by its handle: `kind:name`."""
        session = self.session
        found = {id(v.handle): f"model:{v.name}" for v in session.model.weights}
        for number, (optimizer, _) in enumerate(session.optimizers):
            for i, v in enumerate(optimizer.variables):
                found[id(v.handle)] = f"slot:{number}/{i}"
            # Where a schedule's value is kept for the log.
            found[id(optimizer._current_learning_rate.handle)] = f"slot:{number}/rate"
        if session.average:
            for v, source in zip(session.average.variables, session.average.sources, strict=True):
                found[id(v.handle)] = f"average:{source.name}"
        if session.distillation:
            for v in session.distillation.networks[0].weights:
                found[id(v.handle)] = f"teacher:{v.name}"
        return found


def with_untrained_teacher(recipe: Recipe, task: Task, root: Path, folder: Path) -> Recipe:
    """Return a recipe whose teacher has new weights: the trained ones come in where it trains.

    Args:
        recipe: What to train.
        task: The recipe's task.
        root: The data root.
        folder: An empty one, to make the teacher's run in.
    """
    settings = recipe.distillation
    assert settings is not None
    theirs, copy = Run(Path(settings.teacher)).recipe(), Run(folder)
    theirs.save(copy.recipe_file)
    if theirs.task == "folder":
        shutil.copy(theirs.classes_file(root), folder)
    network = theirs.build_model((None, None, 3), task=task)
    save_weights(network, copy.best, unpacked=True)
    return recipe.replace(distillation=settings.model_copy(update={"teacher": str(folder)}))


def export(stage: Stage, folder: Path) -> dict[str, Any]:
    """Write a stage's program and what its variables begin with.

    Args:
        stage: What to write.
        folder: For `program.hlo.xz` and `begin.npz`; made if missing.

    Returns:
        What the program takes and gives, for `stage.json`.
    """
    recipe = stage.recipe
    batch = (STEPS, recipe.batch_size, *recipe.crop)
    steps = stage.program()
    arguments = (tf.zeros((*batch, 3)), tf.zeros(batch, tf.uint8))
    with friendly_operators():
        concrete = steps.get_concrete_function(*arguments)
        write = steps.experimental_get_compiler_ir(*arguments)
    variables = {id(v.handle): v for v in concrete.graph.variables}
    taken = [variables[id(handle)] for handle in concrete.captured_inputs]
    names = stage.names()
    state = [names[id(v.handle)] for v in taken]
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(folder / "program.hlo.xz", "wb") as file:
        file.write(write(stage="hlo_serialized"))
    begin, drawn = _beginnings(stage, dict(zip(state, taken, strict=True)))
    np.savez_compressed(folder / "begin.npz", **begin)
    header = write(stage="hlo").split("\n", 1)[0]
    return {
        "state": state,
        "shapes": [list(v.shape) for v in taken],
        "dtypes": [v.dtype.name for v in taken],
        # Which output takes the place of which argument.
        "kept": [[int(o), int(i)] for o, i in re.findall(r"\{(\d+)\}: \((\d+), \{\}", header)],
        "drawn": drawn,
        "latent": [kernel.name for kernel in models.binary_kernels(stage.session.model)],
    }


def _beginnings(
    stage: Stage, variables: dict[str, tf.Variable]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the values to begin with, and the deviations of those that are random."""
    recipe = stage.recipe
    options = recipe.model.get("encoder_options") or {}
    trained_here = {
        "model": recipe.encoder_weights or options.get("imagenet") or recipe.init != stage.init,
        "teacher": recipe.distillation and not stage.teacher,
    }
    begin, drawn = {}, {}
    for name, variable in variables.items():
        kind = name.split(":", 1)[0]
        if kind not in trained_here:
            continue
        value = variable.numpy()
        if trained_here[kind]:
            begin[name] = value.astype(np.float16) if value.size > SMALL else value
        elif kind == "model" and value.size <= SMALL:
            begin[name] = value
        elif kind == "model":
            drawn[name] = float(value.std())
    return begin, drawn


def batches(stage: Stage) -> dict[str, Any]:
    """Return what `train.py` has to know of a stage's batches, and of the stages before it."""
    recipe = stage.recipe
    return {
        "steps": recipe.steps,
        "steps_per_program": STEPS,
        "batch_size": recipe.batch_size,
        "crop": recipe.crop,
        "input": recipe.input.model_dump(),
        "augmentation": recipe.augmentation.model_dump(),
        "beyond": OUTSIDE if recipe.distillation else IGNORE,
        "seed": recipe.seed,
        "init": stage.init and Path(stage.init).name,
        "teacher": stage.teacher and Path(stage.teacher).name,
    }


def main() -> None:
    """Export every run that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("pack", type=Path, help="folder to write")
    parser.add_argument("runs", type=Path, nargs="+", help="folders with a recipe.yaml each")
    parser.add_argument("--data", type=Path, required=True, help="data root")
    parser.add_argument(
        "--quality", type=int, default=85, choices=range(1, 101), metavar="1...100",
        help="of the packed pictures, WebP (default: 85)",
    )  # fmt: skip
    given = parser.parse_args()
    try:
        export_all(given.pack, given.runs, given.data, given.quality)
    except LarqDenseError as error:
        raise SystemExit(f"Error: {error}") from error


def export_all(pack: Path, runs: Sequence[Path], data: Path, quality: int) -> None:
    """Write runs in the order in which they will be trained.

    Args:
        pack: Folder to write.
        runs: Folders with a `recipe.yaml` each.
        data: The data root.
        quality: Of the packed pictures, 1…100.

    Raises:
        LarqDenseError: A recipe or the data are not what they should be.
    """
    recipes = [Run(run).recipe() for run in runs]
    for place, (run, recipe) in enumerate(zip(runs, recipes, strict=True)):
        check(run, recipe, runs[:place])
    pictures = Pictures(quality)
    for place, (run, recipe) in enumerate(zip(runs, recipes, strict=True)):
        task = recipe.get_task(data)
        decoded = load_data(recipe, task, data)
        pictures.add(run.name, decoded.training)
        stage = Stage(recipe, task, decoded, data, runs[:place])
        spec = batches(stage) | export(stage, pack / run.name)
        (pack / run.name / "stage.json").write_text(json.dumps(spec))
        print(f"{run.name}: {len(decoded.training)} pictures, {len(spec['state'])} variables")
        tf.keras.backend.clear_session()
    pictures.save(pack / "pictures.npz")
    size = sum(path.stat().st_size for path in pack.rglob("*") if path.is_file())
    print(f"{pack}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
