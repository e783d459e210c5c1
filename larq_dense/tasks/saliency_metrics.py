"""The measures of salient object detection. Imports pysodmetrics, which takes a second."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from py_sod_metrics import MAE, Emeasure, FmeasureHandler, FmeasureV2, Smeasure

from larq_dense.tasks.metrics import SegmentationMetrics, check_probability


class _StructureMeasure(Smeasure):
    """The S-measure, also of an object that lies wholly in the last row or column.

    There a quarter of the picture is empty and weighs nothing, but pysodmetrics makes it NaN.
    """

    def ssim(self, pred: NDArray[Any], gt: NDArray[Any]) -> float:
        """Return the similarity of one quarter of the picture."""
        return float(super().ssim(pred, gt)) if pred.size else 0.0


class SaliencyMetrics(SegmentationMetrics):
    """The measures of salient object detection, by pysodmetrics.

    Each probability map is rounded to 8 bits and stretched to 0…1, as pysodmetrics does with
    saved maps. MaxF is the largest value over 256 thresholds of the F-measure curve (β² = 0.3)
    averaged over pictures; MAE the mean absolute error; S the structure measure (alpha = 0.5); E
    the enhanced-alignment measure averaged over thresholds. These measures know no ignored
    pixels: such count as background.
    """

    uses_probability = True

    def __init__(self, class_names: tuple[str, ...]) -> None:
        super().__init__(class_names)
        curve = FmeasureHandler(beta=0.3, with_dynamic=True, with_adaptive=False)
        self._fmeasure = FmeasureV2(metric_handlers={"fm": curve})
        self._measures = (self._fmeasure, MAE(), _StructureMeasure(), Emeasure())

    def update(
        self,
        predicted: NDArray[np.uint8],
        label: NDArray[np.uint8],
        probability: NDArray[np.float32] | None = None,
    ) -> None:
        """Add one picture; see `Metrics.update`."""
        probability = check_probability(probability, label)
        super().update(predicted, label)
        saved = (probability * 255).round().astype(np.uint8)
        truth = np.where(label == 1, np.uint8(255), np.uint8(0))
        for measure in self._measures:
            measure.step(pred=saved, gt=truth)

    def result(self) -> dict[str, Any]:
        """Sum up; see `Metrics.result`."""
        result = super().result()
        fmeasure, mae, structure, alignment = (m.get_results() for m in self._measures)
        result["metrics"] = {
            "maxf": float(fmeasure["fm"]["dynamic"].max()),
            "mae": float(mae["mae"]),
            "s_measure": float(structure["sm"]),
            "e_measure": float(alignment["em"]["curve"].mean()),
        }
        return result
