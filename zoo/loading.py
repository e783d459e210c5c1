"""From the name of an entry or a run to a Keras model with its weights."""

import colorsys
import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.common.images import Preprocessing
from larq_dense.training.run import Run
from larq_dense.zoo import entries
from larq_dense.zoo.entries import Entry

if TYPE_CHECKING:
    import tensorflow as tf

    from larq_dense.models.dense import DenseModel
    from larq_dense.runtime import ModelSpec
    from larq_dense.tasks import Task
    from larq_dense.training.recipe import Precision

_LOG = logging.getLogger(__name__)
_HEAD = "head"

InputShape = tuple[int | None, int | None, int]


def load(
    name: str | Path,
    weights: str | Path | None = "pretrained",
    input_shape: InputShape | None = None,
    num_classes: int | None = None,
    precision: Literal["binary", "float", "int8"] = "binary",
    training: bool | None = None,
) -> "DenseModel":
    """Return the network of an entry or a run, ready to predict and convert, or to train further.

    A network that predicts has constants where one that trains has batch normalizations and gates
    (`models.exact.inference_form`), so that it gives the same labels on every machine; its
    constants are trainable, too, but batch normalization trains better. `larq-dense convert` and
    `conversion.convert` take either.

    Besides what every Keras model has, it has `spec` (a `larq_dense.runtime.ModelSpec`),
    `preprocess(image)`, which gives float32 `[1, height, width, 3]` for any picture, and
    `postprocess(logits, size)`, which gives the label map, uint8, at `size` = (height, width).
    `model.save("x.keras")` and `tf.keras.models.load_model` keep all three.

    Args:
        name: An entry's name, its address on the hub (`hf://owner/name`, `hf://owner/name@rev`), or
            the folder of a run or of an entry that was published elsewhere.
        weights: `"pretrained"`, None for random ones, or a weight file of the same network.
        input_shape: `(height, width, 3)`, multiples of 32, or `(None, None, 3)` to train on any
            such size; the entry's own if left out.
        num_classes: A new head, with random weights, for so many classes.
        precision: `"int8"` is the entry's variant that computes in int8 what is not binary;
            `"float"` is the full-precision baseline, which has no published weights.
        training: Whether to keep batch normalizations, to fine-tune the network. Left out, it is
            so for a network that has yet to be trained: with `num_classes` or random weights.

    Returns:
        A functional Keras model from float32 `[batch, height, width, 3]` to float32 logits
        `[batch, height, width, channels]`, not compiled.

    Raises:
        UnknownNameError: There is no such entry or folder.
        WeightsError: The weights are missing, damaged or another network's.
        LarqDenseError: An argument is out of range.

    Examples:
        >>> from larq_dense import zoo
        >>> model = zoo.load("ecssd")
        >>> labels = model.postprocess(model(model.preprocess("photo.jpg")), (300, 451))
        >>> labels.shape, labels.dtype
        ((300, 451), dtype('uint8'))
    """
    run = entries.find_trained(str(name))
    if precision == "int8":
        if weights is None or num_classes is not None:
            raise LarqDenseError(
                "the int8 form comes from trained weights; load the binary one, train it, and go "
                "on by `larq-dense train --quantize`."
            )
        run = int8_variant(run)
    recipe, task = run.recipe(), run.task()
    if num_classes is not None and not 2 <= num_classes <= 255:
        raise LarqDenseError(f"num_classes must be 2 to 255, not {num_classes}.")
    if precision not in ("binary", "float", "int8"):
        raise LarqDenseError(f"precision must be 'binary', 'float' or 'int8', not {precision!r}.")
    if weights == "pretrained" and precision == "float" != recipe.precision:
        raise WeightsError(
            f"{name} has no full-precision weights; pass weights=None to start from random ones."
        )
    if training is None:
        training = num_classes is not None or weights is None
    # The published weights are checked before the model, which takes seconds, is built.
    path = run.weights() if weights == "pretrained" else weights
    built: Precision | None = "float" if precision == "float" else None
    model = recipe.build_model(input_shape, built, task)
    if path is not None:
        from larq_dense.models.weights import load_weights

        load_weights(model, path)
    if weights == "pretrained" and run.notice:
        # A warning, so that a program that set up no logging shows it, too.
        _LOG.warning("%s: %s", run.title, run.notice)
    preprocessing = _at_size(recipe.preprocessing, input_shape)
    spec = run.spec(preprocessing)
    if num_classes is not None:
        outputs = cast("Task", _Outputs(num_classes))
        renewed = recipe.build_model(input_shape, built, outputs)
        _copy_all_but_head(model, renewed)
        model, spec = renewed, _with_classes(spec, num_classes)
    if not training:
        from larq_dense.models.exact import inference_form

        model = inference_form(model)
    return _described(model, spec)


def int8_variant(run: Run) -> Entry:
    """Return an entry's int8 variant.

    Raises:
        WeightsError: It has none, or it is a run.
    """
    if not isinstance(run, Entry) or not run.int8().is_published:
        raise WeightsError(
            f"{run.title} has no int8 variant; make one by `larq-dense train {run.title} "
            "--quantize`."
        )
    return run.int8()


@dataclasses.dataclass(frozen=True)
class _Outputs:
    """As much of a task as a new head needs."""

    num_outputs: int


def _at_size(preprocessing: Preprocessing, input_shape: InputShape | None) -> Preprocessing:
    height, width = (input_shape or (None, None))[:2]
    return dataclasses.replace(
        preprocessing,
        height=height or preprocessing.height,
        width=width or preprocessing.width,
    )


def _copy_all_but_head(source: "tf.keras.Model", target: "tf.keras.Model") -> None:
    for layer in source.layers:
        # A head may have more than one layer: Lite R-ASPP's has head and head_fine.
        if not layer.name.startswith(_HEAD):
            target.get_layer(layer.name).set_weights(layer.get_weights())


def _with_classes(spec: "ModelSpec", count: int) -> "ModelSpec":
    """Describe a new head: nameless classes in colours of evenly spread hue, the first black."""
    from larq_dense.runtime import SpecClass

    hues = [colorsys.hsv_to_rgb(index / count, 0.8, 1.0) for index in range(count)]
    colors = [(0, 0, 0), *(tuple(round(255 * part) for part in hue) for hue in hues[1:])]
    classes = tuple(
        SpecClass(f"class {index}", cast(tuple[int, int, int], color))
        for index, color in enumerate(colors)
    )
    return dataclasses.replace(
        spec,
        task="own",
        kind="segmentation",
        classes=classes,
        description=f"{spec.name}'s network with a new head, not trained yet.",
    )


def _described(model: "tf.keras.Model", spec: "ModelSpec") -> "DenseModel":
    from larq_dense.models.dense import DenseModel

    if not isinstance(model, DenseModel):
        model = DenseModel(model.inputs, model.outputs, name=model.name)
    model.spec = spec
    return model
