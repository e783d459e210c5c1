"""How well a model holds out on pictures that are noisy, blurred, badly lit or compressed.

The corruptions and their five severities are those of Hendrycks and Dietterich, "Benchmarking
Neural Network Robustness to Common Corruptions and Perturbations" (ICLR 2019), as the package
`imagecorruptions` makes them (Michaelis et al., "Benchmarking Robustness in Object Detection",
2019).
"""

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.images import ImageLike, read_image
from larq_dense.common.labels import Scores
from larq_dense.evaluation.accuracy import Predicts, measure
from larq_dense.tasks import Sample, Task

CORRUPTIONS = (
    "gaussian_noise",
    "defocus_blur",
    "motion_blur",
    "fog",
    "spatter",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
)
"""Noise, blur, weather (`spatter` is rain on the lens), light, low resolution, compression."""

SEVERITIES = (1, 2, 3, 4, 5)
_SMALLEST_SIDE = 32


def measure_robustness(
    predictor: Predicts,
    task: Task,
    samples: Sequence[Sample],
    corruptions: Iterable[str] = CORRUPTIONS,
    severities: Sequence[int] = SEVERITIES,
    watch: Callable[[Iterable[tuple[str, int]]], Iterable[tuple[str, int]]] = iter,
) -> dict[str, Any]:
    """Measure the task's main metric on corrupted copies of pictures.

    Args:
        predictor: Anything with `predict(image)`.
        task: Reads the masks and defines the metric.
        samples: Pictures with masks, 32 pixels or more on each side. The masks stay as they are.
        corruptions: Names from `CORRUPTIONS`, or others that `imagecorruptions` knows.
        severities: How strong, 1 (slight) to 5 (severe).
        watch: Passes each corruption and severity on before it is measured.

    Returns:
        `metric`, its name; `clean`, its value on the pictures as they are; `corrupted`, for each
        corruption its value at each severity; `mean`, over all of `corrupted`; `images`.

    Raises:
        DataError: There is no sample, or a picture is smaller than 32 pixels.
        LarqDenseError: The package `imagecorruptions` is not installed.

    Examples:
        >>> import larq_dense
        >>> from larq_dense import evaluation, tasks
        >>> task = tasks.get("ecssd")
        >>> samples = task.samples("people", "val")
        >>> measured = evaluation.measure_robustness(
        ...     larq_dense.load("ecssd"), task, samples, ["fog"], [3]
        ... )                                                     # doctest: +SKIP
        >>> measured["corrupted"]["fog"]                          # doctest: +SKIP
        [0.81]
    """
    library, names = _library(), list(corruptions)
    corrupted: dict[str, list[float]] = {name: [] for name in names}
    for name, severity in watch([(name, each) for name in names for each in severities]):
        corrupting = _Corrupting(predictor, library, name, severity)
        corrupted[name].append(_main_metric(corrupting, task, samples))
    return {
        "metric": task.main_metric,
        "clean": _main_metric(predictor, task, samples),
        "corrupted": corrupted,
        "mean": float(np.mean([value for values in corrupted.values() for value in values])),
        "severities": list(severities),
        "images": len(samples),
    }


class _Corrupting:
    """Corrupts each picture before a predictor sees it, the same picture always in the same way."""

    def __init__(self, predictor: Predicts, library: ModuleType, name: str, severity: int) -> None:
        self._predictor, self._library = predictor, library
        self._name, self._severity = name, severity
        self._count = 0

    def predict(self, image: ImageLike) -> Scores:
        """Corrupt and predict."""
        picture: NDArray[np.uint8] = np.ascontiguousarray(read_image(image))
        if min(picture.shape[:2]) < _SMALLEST_SIDE:
            height, width = picture.shape[:2]
            raise DataError(
                f"a picture of {height}x{width} cannot be corrupted; choose pictures of at least "
                f"{_SMALLEST_SIDE} pixels a side."
            )
        # The package draws from NumPy's global generator.
        before = np.random.get_state()
        np.random.seed(self._count)
        self._count += 1
        try:
            changed = self._library.corrupt(
                picture, corruption_name=self._name, severity=self._severity
            )
        finally:
            np.random.set_state(before)
        return self._predictor.predict(changed)


def _main_metric(predictor: Predicts, task: Task, samples: Sequence[Sample]) -> float:
    return measure(predictor, task, samples).metrics[task.main_metric]


def _library() -> ModuleType:
    try:
        import imagecorruptions
    except ModuleNotFoundError as error:
        # No extra of this package: it asks for the OpenCV with windows, which would overwrite the
        # one without that is installed.
        raise LarqDenseError(
            "corrupting pictures needs the package imagecorruptions, which is not installed; run "
            "`pip install numba` and `pip install --no-deps imagecorruptions-imaug`."
        ) from error
    return imagecorruptions
