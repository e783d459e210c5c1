"""What is measured of an entry's int8 variant when it is published."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.quiet import import_tensorflow
from larq_dense.publishing.files import keep_file
from larq_dense.publishing.measure import (
    accuracy,
    calibration_pictures,
    conversion,
    convert_command,
    measured_samples,
    parity_pictures,
    time_files,
    validation_pictures,
)
from larq_dense.zoo.opening import open_baseline, open_keras

if TYPE_CHECKING:
    from larq_dense.zoo import Entry


def measure_int8(entry: "Entry", data: Path, repeats: int = 50) -> dict[str, Any]:
    """Measure a packed int8 variant and the network that it was made of.

    Args:
        entry: Holds a recipe with `quantize` and packed weights.
        data: Holds the folders of the recipe's validation sources.
        repeats: Timed runs of each engine.

    Returns:
        What the variant's `metrics.json` holds besides its origin, each part with its command.

    Raises:
        LarqDenseError: Data or weights are not what they should be, or the audit fails.
    """
    from larq_dense import zoo
    from larq_dense.common.machine import describe_machine
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import int8_tflite
    from larq_dense.evaluation.memory import peak_bytes
    from larq_dense.runtime import Predictor

    import_tensorflow()
    sources = measured_samples(entry, data)
    pictures = validation_pictures(entry, sources)
    begun_with = str(entry.recipe().init)
    default, _ = open_keras(begun_with)
    compared = parity_pictures(pictures)
    converted = convert(zoo.load(entry.folder), images=compared)
    keep_file(entry, converted.content)
    files = {"default": convert(default).content, "int8": converted.content}
    calibration = [default.spec.preprocessing(path) for path in calibration_pictures(pictures)]
    baseline = open_baseline(begun_with)
    timings = time_files(
        baseline.input_shape[1:],
        repeats,
        binary_file=files["default"],
        int8_file=int8_tflite(baseline, calibration),
        quantized_file=files["int8"],
    )
    file = f"{entry.name}_int8.tflite"
    predictor = Predictor.from_tflite(converted.content, spec=converted.spec)
    return {
        "machine": describe_machine(),
        "accuracy": accuracy(entry, predictor, file, sources, data),
        "conversion": {
            **conversion(converted),
            "command": convert_command(f"{entry.name} --int8", compared),
        },
        "memory": {name: peak_bytes(content) for name, content in files.items()},
        "latency": {
            "threads": 1,
            "milliseconds": {timing.candidate.engine: timing.median for timing in timings},
            "command": f"larq-dense benchmark {entry.name} --threads 1 --repeats {repeats}",
        },
    }
