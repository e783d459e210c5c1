"""From a picture to a label map, over a Keras model and a converted file alike."""

import functools
import os
import threading
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.images import ImageLike
from larq_dense.common.labels import Prediction, Scores
from larq_dense.runtime.interpreter import Interpreter, Runtime, load
from larq_dense.runtime.metadata import read_file, read_spec
from larq_dense.runtime.spec import ModelSpec
from larq_dense.runtime.tiling import Blended, looks

SMALLEST_TILE = 32


class _KerasInterpreter:
    """A Keras model behind the same interface as a converted file."""

    def __init__(self, model: Any, spec: ModelSpec) -> None:
        self._model = model
        self.input_shape = spec.preprocessing.input_shape
        _check_shape("takes pictures", model.input_shape, self.input_shape)
        self.output_shape = (1, *model.output_shape[1:])

    @functools.cached_property
    def _graph(self) -> Any:
        """The model as one graph, traced when it is first needed; weights stay its variables."""
        import tensorflow as tf

        function = tf.function(lambda x: self._model(x, training=False), autograph=False)
        return function.get_concrete_function(tf.TensorSpec(self.input_shape, tf.float32))

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        import tensorflow as tf

        # On a GPU, products of 10 bits would change signs (docs/exactness.md).
        settings = tf.config.experimental
        before = settings.tensor_float_32_execution_enabled()
        settings.enable_tensor_float_32_execution(False)
        try:
            outputs: NDArray[np.float32] = self._graph(tf.constant(inputs, tf.float32)).numpy()
        finally:
            settings.enable_tensor_float_32_execution(before)
        return outputs


class Predictor:
    """Predicts label maps and probabilities for pictures of any size.

    A picture is resized to the network's input; the logits are resized back, bilinearly, to the
    picture's size, and only then become probabilities or labels. A picture with details that
    would vanish then is seen in tiles.

    Threads may share one: they take turns at the network. Over a file it survives a fork and may
    be pickled, file and all; over a Keras model it does neither and says so.

    Args:
        model: A Keras model, a `.tflite` file or its bytes, or a loaded `Interpreter`.
        spec: What the model is for. Left out, it is the Keras model's own (`model.spec`, which
            zoo entries carry) or the one in the file.
        num_threads: Threads that run a file.
        runtime: What runs a file; see `larq_dense.runtime.load`.
        tile: Columns of the picture in a tile, whose rows follow from the input's shape. Tiles
            overlap and blend; as large as the input, they are not resized. Left out, a picture is
            seen as a whole.
        tta: Test-time augmentation: average the probabilities of the picture and its mirror image,
            at their size and at 1.5 times their size in overlapping parts. The network runs ten
            times.

    Raises:
        DataError: No description is to be had, it does not fit the model, or tiles are too small.

    Examples:
        >>> from larq_dense import Predictor
        >>> predictor = Predictor("ecssd.tflite")
        >>> predictor.labels("photo.jpg").shape
        (300, 451)
        >>> predictor.probabilities("photo.jpg").shape
        (300, 451, 1)
    """

    def __init__(
        self,
        model: Any,
        spec: ModelSpec | None = None,
        *,
        num_threads: int = 1,
        runtime: Runtime = "auto",
        tile: int | None = None,
        tta: bool = False,
    ) -> None:
        if tile is not None and tile < SMALLEST_TILE:
            raise DataError(f"a tile has {SMALLEST_TILE} columns or more, not {tile}.")
        self._tile, self._tta = tile, tta
        self._file: _File | None = None
        if isinstance(model, bytearray | memoryview):
            model = bytes(model)
        if isinstance(model, str | Path | bytes):
            content, label = read_file(model)
            self.spec = spec or _file_spec(content, label)
            self._file = _File(content, num_threads, runtime)
            # By its path where it has one, which a message then names.
            interpreter = load(model, num_threads, runtime)
        else:
            self.spec = spec or _attached_spec(model)
            loaded = hasattr(model, "run")
            interpreter = model if loaded else _KerasInterpreter(model, self.spec)
        self._interpreter: Interpreter | None = interpreter
        self._lock = threading.Lock()
        self._input_shape = interpreter.input_shape
        _check_shape("takes pictures", self.input_shape, self.spec.preprocessing.input_shape)
        _check_shape("gives logits", interpreter.output_shape[3:], (self.spec.num_outputs,))
        _OPEN.add(self)

    @classmethod
    def from_keras(
        cls,
        model: Any,
        spec: ModelSpec | None = None,
        tile: int | None = None,
        tta: bool = False,
    ) -> "Predictor":
        """Predict with a Keras model; `spec` may be left out for one from the zoo."""
        return cls(model, spec, tile=tile, tta=tta)

    @classmethod
    def from_tflite(
        cls,
        model: str | Path | bytes,
        num_threads: int = 1,
        runtime: Runtime = "auto",
        spec: ModelSpec | None = None,
        tile: int | None = None,
        tta: bool = False,
    ) -> "Predictor":
        """Predict with a converted file; `spec` only for one that carries none."""
        return cls(model, spec, num_threads=num_threads, runtime=runtime, tile=tile, tta=tta)

    def __reduce__(self) -> Any:
        if self._file is None:
            raise LarqDenseError(
                "a predictor over a Keras model or a loaded interpreter cannot be pickled; convert "
                "the model by `larq-dense convert` and predict with the file."
            )
        return _reopen, (self._file, self.spec, self._tile, self._tta)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The network's input, `(1, height, width, channels)`."""
        return self._input_shape

    def logits(self, image: ImageLike) -> NDArray[np.float32]:
        """Return the network's output at its own size.

        Args:
            image: A path, a file's bytes, an open file, a Pillow image, or a uint8 array
                `[height, width, 3]`; see `common.images.read_image`.

        Returns:
            float32 `[height, width, channels]`.

        Raises:
            DataError: The picture cannot be read.
        """
        return self._run(self.spec.preprocessing(image))[0]

    def predict(self, image: ImageLike) -> Scores:
        """Run the network once, for both labels and probabilities.

        Args:
            image: As for `logits`.

        Returns:
            What gives `labels()`, `probabilities()` and more at the picture's own size: a
            `Prediction`, or with tiles or `tta` what runs the network when it is asked.
        """
        pixels = self.spec.preprocessing.read(image)
        if self._tile is None and not self._tta:
            return self._see(pixels)
        height, width = pixels.shape[:2]
        size = self.spec.preprocessing
        rows = self._tile and max(1, round(self._tile * size.height / size.width))
        tile = (rows, self._tile) if rows and self._tile else None
        plan = looks(height, width, tile, self._tta)
        return Blended(pixels, self._see, self.spec.num_outputs, plan)

    def _see(self, pixels: NDArray[np.uint8]) -> Prediction:
        logits = self.logits(pixels)
        return Prediction.of_input(logits, self.spec.preprocessing, *pixels.shape[:2])

    def probabilities(self, image: ImageLike) -> NDArray[np.float32]:
        """Return probabilities at the picture's own size.

        Args:
            image: As for `logits`.

        Returns:
            float32 `[height, width, classes]`, summing to 1 over the classes; for saliency
            `[height, width, 1]`, the probability of the object.
        """
        return self.predict(image).probabilities()

    def labels(self, image: ImageLike, threshold: float | None = None) -> NDArray[np.uint8]:
        """Return the label map at the picture's own size.

        Args:
            image: As for `logits`.
            threshold: Probability that a label needs; see `Prediction.labels`.

        Returns:
            uint8 `[height, width]`: the most probable class; for saliency 1 where the
            probability of the object is at least a half.
        """
        return self.predict(image).labels(threshold)

    def labels_from_logits(
        self, logits: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.uint8]:
        """Return the label map of `logits` `[h, w, channels]` at a picture's size, as uint8."""
        return Prediction.of_input(logits, self.spec.preprocessing, height, width).labels()

    def _run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        # An interpreter has one set of tensors, so that threads take turns.
        with self._lock:
            if self._interpreter is None:
                self._interpreter = self._load_again()
            return self._interpreter.run(inputs)

    def _load_again(self) -> Interpreter:
        if self._file is None:
            raise LarqDenseError(
                "TensorFlow does not survive a fork; open the model in the new process, start it "
                "by multiprocessing's 'spawn', or predict with a converted file."
            )
        return load(self._file.content, self._file.num_threads, self._file.runtime)

    def _after_fork(self) -> None:
        """Forget, in a forked process, what the threads of its parent held."""
        self._lock = threading.Lock()
        if self._interpreter is not None:
            # Never destroyed: it would wait for threads that this process does not have.
            _ABANDONED.append(self._interpreter)
            self._interpreter = None


class _File(NamedTuple):
    """What it takes to open a converted file once more."""

    content: bytes
    num_threads: int
    runtime: Runtime


def _reopen(file: _File, spec: ModelSpec, tile: int | None, tta: bool) -> Predictor:
    return Predictor.from_tflite(
        file.content, file.num_threads, file.runtime, spec, tile=tile, tta=tta
    )


_OPEN: "weakref.WeakSet[Predictor]" = weakref.WeakSet()
_ABANDONED: list[Interpreter] = []


def _after_fork() -> None:
    for predictor in _OPEN:
        predictor._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _attached_spec(model: Any) -> ModelSpec:
    spec = getattr(model, "spec", None)
    if not isinstance(spec, ModelSpec):
        raise DataError(
            "the model carries no description of its task; pass spec=ModelSpec(…) or load it by "
            "larq_dense.zoo.load."
        )
    return spec


def _file_spec(content: bytes, label: str) -> ModelSpec:
    spec = read_spec(content)
    if spec is None:
        raise DataError(
            f"{label} has no metadata of larq_dense (classes, normalization); make the file by "
            "`larq-dense convert`, or name the entry that it belongs to (predict's --entry, or "
            "spec= in Python)."
        )
    return spec


def _check_shape(verb: str, actual: tuple[Any, ...], expected: tuple[int, ...]) -> None:
    pairs = zip(actual, expected, strict=False)
    fits = len(actual) == len(expected) and all(a is None or a == b for a, b in pairs)
    if not fits:
        raise DataError(
            f"the model {verb} of shape {list(actual)}, but its description says {list(expected)}."
        )
