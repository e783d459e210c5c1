"""What a command's MODEL argument may be, and how it is opened."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.quiet import import_tensorflow
from larq_dense.zoo import loading
from larq_dense.zoo.entries import Entry, find, find_trained

if TYPE_CHECKING:
    import tensorflow as tf

    from larq_dense.runtime import ModelSpec, Predictor
    from larq_dense.runtime.interpreter import Runtime
    from larq_dense.tasks import Task
    from larq_dense.training.recipe import Recipe

_LOG = logging.getLogger(__name__)

Form = Literal["int8", "binary"]
"""As `zoo.load`'s `precision`: all-integer, or float32 between the binary layers."""


@dataclass(frozen=True)
class OpenModel:
    """A model that is ready to predict.

    Attributes:
        predictor: The model.
        known_task: Its task, where it is an entry's or a run's; a file only names its own.
        precision: An entry's form; None for a run or a file, which has one only.
    """

    predictor: "Predictor"
    known_task: "Task | None" = None
    precision: Form | None = None

    @property
    def spec(self) -> "ModelSpec":
        """What the model is for."""
        return self.predictor.spec

    @property
    def task(self) -> "Task":
        """The model's task; predicting alone does not need it."""
        return self.known_task or task_of(self.spec)


def load(
    model: str | Path,
    *,
    precision: Form | None = None,
    runtime: 'Runtime | Literal["keras"]' = "auto",
    num_threads: int = 1,
    tile: int | None = None,
    tta: bool = False,
) -> "Predictor":
    """Open a model to predict with, whatever form it has.

    Args:
        model: A zoo entry's name or address on the hub (`hf://owner/name`), an entry's or a run's
            folder, or a `.tflite` file. A file needs no TensorFlow, and neither does an entry,
            which ships one for each precision.
        precision: Form of an entry, as in `zoo.load`: `"int8"`, all-integer, which is faster, or
            `"binary"`, with float32 between the binary layers, which is at most half a percentage
            point more accurate. Left out, it is `"int8"` where the entry has such a file, else
            `"binary"`. A run and a file have one form only.
        runtime: What runs a file; see `larq_dense.runtime.load`. `"keras"` takes an entry's weights
            instead.
        num_threads: Threads that run a file.
        tile: Columns of a tile; see `Predictor`.
        tta: Average several looks at a picture; see `Predictor`.

    Returns:
        A predictor: `labels(picture)`, `probabilities(picture)`, `logits(picture)`.

    Raises:
        LarqDenseError: There is no such model, it is damaged, or it has no such form.

    Examples:
        >>> import larq_dense
        >>> predictor = larq_dense.load("ecssd")
        >>> predictor.labels("photo.jpg").shape
        (300, 451)
    """
    return open_predictor(str(model), runtime, num_threads, tile, tta, precision).predictor


def open_predictor(
    model: str,
    runtime: 'Runtime | Literal["keras"]' = "auto",
    threads: int = 1,
    tile: int | None = None,
    tta: bool = False,
    precision: Form | None = None,
    usual: Form = "int8",
) -> OpenModel:
    """Open what a user named as a model.

    Args:
        model: A zoo entry's name or address on the hub, an entry's folder, a run's folder, or a
            `.tflite` file.
        runtime: What runs a file; an entry ships one, so that it needs no TensorFlow. `"keras"`
            takes the entry's weights, as is done for a run.
        threads: Threads that run a file.
        tile: Columns of a tile; see `Predictor`.
        tta: Average several looks at a picture; see `Predictor`.
        precision: Form of an entry that the user asked for.
        usual: The form where none was asked for, if the entry has it.

    Raises:
        LarqDenseError: There is no such model, it is damaged, or it has no such form.
    """
    from larq_dense.runtime import Predictor, read_spec

    if is_file(model):
        if precision is not None:
            raise _one_form(model, "a file")
        if runtime == "keras":
            raise LarqDenseError(
                f"{model} is a converted file, which Keras cannot run; name the entry or the run."
            )
        # By its path, so that a message about a damaged file names it.
        spec = read_spec(model)
        return OpenModel(Predictor.from_tflite(model, threads, runtime, spec, tile, tta))
    run = find_trained(model)
    form: Form | None = None
    if isinstance(run, Entry):
        form = _form(run, precision, usual)
        if runtime != "keras" and run.ships_tflite(form == "int8"):
            file = _shipped_file(run, form, runtime)
            spec = read_spec(file)
            if spec is not None:
                _LOG.warning("%s: %s", spec.name, spec.description)
            predictor = Predictor.from_tflite(file, threads, runtime, spec, tile, tta)
            return OpenModel(predictor, precision=form)
    elif precision is not None:
        raise _one_form(model, "a run")
    keras, task = open_keras(model, form or "binary")
    return OpenModel(Predictor.from_keras(keras, None, tile, tta), task, form)


def _form(entry: Entry, asked: Form | None, usual: Form) -> Form:
    """Return the form in which an entry is opened.

    Raises:
        LarqDenseError: There is no such form.
    """
    if asked not in (None, "int8", "binary"):
        raise LarqDenseError(f"precision must be 'int8' or 'binary' to predict, not {asked!r}.")
    if asked == "int8":
        loading.int8_variant(entry)
    if asked is not None:
        return asked
    return "int8" if usual == "int8" and entry.ships_tflite(int8=True) else "binary"


def _shipped_file(entry: Entry, form: Form, runtime: "Runtime") -> Path:
    if runtime == "native" and form == "binary":
        raise LarqDenseError(
            f"the runtime native runs all-integer files alone, not {entry.title} in the precision "
            "binary; choose the precision int8 or another runtime."
        )
    return entry.tflite(form == "int8")


def _one_form(model: str, kind: str) -> LarqDenseError:
    return LarqDenseError(
        f"{model} is {kind}, which has one form; leave out the precision, or name a zoo entry."
    )


def open_keras(model: str, precision: Form = "binary") -> "tuple[tf.keras.Model, Task]":
    """Open an entry or a run as a Keras model that carries its `spec`.

    Raises:
        LarqDenseError: There is no such entry or run, it is damaged, or it has no such form.
    """
    run = find_trained(model)
    # What is wrong is told before TensorFlow, which takes seconds, is imported.
    (loading.int8_variant(run) if precision == "int8" else run).weights()
    import_tensorflow()
    return loading.load(model, precision=precision), run.task()


def open_int8(model: str) -> "tf.keras.Model | None":
    """Return the int8 variant of an entry, or an int8 run; None where there is none.

    Raises:
        LarqDenseError: It is damaged.
    """
    run = find_trained(model)
    if run.recipe().quantize:
        return open_keras(model)[0]
    if not (isinstance(run, Entry) and run.int8().is_published):
        return None
    import_tensorflow()
    return loading.load(model, precision="int8")


def load_recipe(recipe: str) -> "Recipe":
    """Read a recipe from a file, or from the zoo entry of that name.

    Raises:
        LarqDenseError: There is neither, or a setting is wrong.
    """
    from larq_dense.training import Recipe

    if Path(recipe).suffix in (".yaml", ".yml") or Path(recipe).is_file():
        return Recipe.load(recipe)
    return find(recipe).recipe()


def open_baseline(model: str) -> "tf.keras.Model":
    """Return the full-precision baseline of an entry or a run, with random weights.

    Raises:
        LarqDenseError: There is no such entry or run.
    """
    entry = find(model)
    return entry.recipe().build_model(precision="float", task=entry.task())


def is_file(model: str) -> bool:
    """Whether `model` names a converted file rather than an entry or a run."""
    return Path(model).is_file() or model.endswith(".tflite")


def task_of(spec: "ModelSpec") -> "Task":
    """Return the task that a description names, or one made from its classes."""
    from larq_dense import tasks

    if spec.task in tasks.names():
        task = tasks.get(spec.task)
        # A folder of one's own may be called as a published task.
        if list(task.class_names) == spec.class_names:
            return task
    classes = [tasks.ClassInfo(each.name, each.color) for each in spec.classes]
    return tasks.from_classes(spec.task, classes)
