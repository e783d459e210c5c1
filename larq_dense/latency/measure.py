"""Latency of a model that a user names: every form of it on every engine, here or on a phone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.progress import progress
from larq_dense.latency.benchmark import Timing, to_rows
from larq_dense.zoo.opening import is_file, open_baseline, open_int8, open_keras, open_predictor

if TYPE_CHECKING:
    from larq_dense.runtime import ModelSpec

_PICTURES = 4
"""Random pictures that set the int8 baseline's ranges; they change nothing in its speed."""


@dataclass(frozen=True)
class Measurement:
    """What was timed, where, and what was left out.

    Attributes:
        model: As the user named it.
        spec: Its input and output.
        repeats: Timed runs of each engine.
        complexity: The totals of each network, by `"binary"` and `"float"`; empty for a file.
        timings: One for each engine and number of threads.
        machine: Where, as `describe_machine` says it.
        left_out: A sentence for each engine that was not timed.
        label_agreement: Share of the pixels, 0…1, that a phone gives this machine's label; None
            where no phone was measured.
    """

    model: str
    spec: ModelSpec
    repeats: int
    complexity: dict[str, dict[str, Any]]
    timings: list[Timing]
    machine: dict[str, Any]
    left_out: list[str]
    label_agreement: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, every repeat included."""
        return {
            "model": self.model,
            "input": [self.spec.preprocessing.height, self.spec.preprocessing.width],
            "repeats": self.repeats,
            "machine": self.machine,
            "complexity": self.complexity,
            "timings": to_rows(self.timings),
            "left_out": self.left_out,
            "label_agreement": self.label_agreement,
        }

    def plot(self, path: Path) -> None:
        """Draw the timings.

        Args:
            path: A PNG, SVG, PDF or JPEG by its suffix.

        Raises:
            LarqDenseError: The suffix is unknown or the file cannot be written.
        """
        from larq_dense.latency.plot import plot_timings

        height, width = self.spec.preprocessing.height, self.spec.preprocessing.width
        title = f"{self.spec.name}, {width}x{height}, {self.machine['cpu']}"
        plot_timings(self.timings, title, path)


class _Forms(NamedTuple):
    """A network in every form that there is, and its complexity."""

    spec: ModelSpec
    complexity: dict[str, dict[str, Any]]
    binary_file: bytes | None
    float_file: bytes | None = None
    int8_file: bytes | None = None
    quantized_file: bytes | None = None
    keras: Any = None


def measure_here(model: str, threads: Sequence[int], repeats: int) -> Measurement:
    """Time a model on every engine of this machine that can run it.

    Args:
        model: An entry's name, a run's folder or a `.tflite` file.
        threads: Each `.tflite` is timed with each of these numbers of threads.
        repeats: Timed runs of each engine.

    Raises:
        LarqDenseError: There is no such model, or it is damaged or cannot be converted.
    """
    from larq_dense.common.machine import describe_machine
    from larq_dense.latency.benchmark import candidates, left_out, time_interleaved

    forms = _forms(model)
    entrants = candidates(
        threads,
        keras=forms.keras,
        binary_file=forms.binary_file,
        float_file=forms.float_file,
        int8_file=forms.int8_file,
        quantized_file=forms.quantized_file,
    )
    picture = _random_pictures(forms.spec, 1)[0]
    timings = time_interleaved(entrants, picture, repeats, partial(progress, text="timing"))
    return Measurement(
        model, forms.spec, repeats, forms.complexity, timings, describe_machine(), left_out()
    )


def measure_on_phone(
    model: str, threads: Sequence[int], repeats: int, litert: Path, serial: str | None = None
) -> Measurement:
    """Time a binary network and its full-precision baseline on a connected Android phone.

    Args:
        model: An entry's name, a run's folder or a `.tflite` file.
        threads: Each file is timed with each of these numbers of threads.
        repeats: Timed runs of each engine.
        litert: LiteRT for Android, an `.aar` or the library in it.
        serial: Which phone, where several are connected.

    Raises:
        LarqDenseError: No phone or NDK was found, or the phone cannot run the model.
    """
    from larq_dense import runtime
    from larq_dense.latency.adb import connect
    from larq_dense.latency.phone import (
        build_kit,
        label_agreement,
        phone_candidates,
        time_on_phone,
    )
    from larq_dense.runtime.metadata import parse

    # First what fails at once: the phone, the NDK, LiteRT.
    phone = connect(serial)
    with tempfile.TemporaryDirectory() as folder:
        kit = build_kit(phone, litert, Path(folder))
        forms = _forms(model)
        if forms.binary_file is None:
            raise LarqDenseError(
                f"{model} is a full-precision network; name its binary network, which is timed "
                "together with it."
            )
        if parse(forms.binary_file).inputs[0].dtype == "int8":
            raise LarqDenseError(
                f"{model} takes int8 pictures, which the program on the phone does not have; name "
                "a network with float between its binary layers."
            )
        entrants = phone_candidates(
            threads,
            binary_file=forms.binary_file,
            float_file=forms.float_file,
            int8_file=forms.int8_file,
        )
        picture = _random_pictures(forms.spec, 1)[0]
        run = time_on_phone(phone, kit, entrants, picture, repeats)
    here = runtime.load(forms.binary_file).run(picture)
    agreement = label_agreement(here, run.output.reshape(here.shape))
    left_out = ["Keras and Larq Compute Engine's kernels are left out: no phone's LiteRT has them."]
    return Measurement(
        model, forms.spec, repeats, forms.complexity, run.timings, run.machine, left_out, agreement
    )


def _forms(model: str) -> _Forms:
    if is_file(model):
        return _file_forms(Path(model))
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import float_tflite, int8_tflite
    from larq_dense.evaluation import complexity
    from larq_dense.models import binary_layers
    from larq_dense.quantization import is_quantized

    keras, _ = open_keras(model)
    pictures = _random_pictures(keras.spec, _PICTURES)
    if not binary_layers(keras):
        cost = {"float": complexity(keras).totals()}
        files = float_tflite(keras), int8_tflite(keras, pictures)
        return _Forms(keras.spec, cost, None, *files, keras=keras)
    baseline, file = open_baseline(model), convert(keras).content
    quantized_file = file if is_quantized(keras) else None
    if quantized_file is None and (variant := open_int8(model)) is not None:
        quantized_file = convert(variant).content
    return _Forms(
        keras.spec,
        {"binary": complexity(keras).totals(), "float": complexity(baseline).totals()},
        file,
        float_tflite(baseline),
        int8_tflite(baseline, pictures),
        quantized_file,
        keras,
    )


def _file_forms(path: Path) -> _Forms:
    """Return a file as what it is: for the binary engines, or for TensorFlow Lite alone."""
    from larq_dense.runtime.metadata import parse

    spec, content = open_predictor(str(path)).spec, path.read_bytes()
    file = parse(content)
    if any(each.custom_name for each in file.operators):
        return _Forms(spec, {}, content)
    int8 = file.inputs[0].dtype == "int8"
    return _Forms(spec, {}, None, **{"int8_file" if int8 else "float_file": content})


def _random_pictures(spec: ModelSpec, count: int) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    shape = spec.preprocessing.input_shape[1:]
    pictures = random.integers(0, 256, (count, *shape), np.uint8)
    return [spec.preprocessing(picture) for picture in pictures]
