"""The variants, and what is said of their scores."""

import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from larq_dense.common.errors import LarqDenseError
from larq_dense.experiments.ablation import deviation, judge
from larq_dense.experiments.ablation_plot import plot_ablation
from larq_dense.experiments.experiment import Hypothesis

HYPOTHESIS = Hypothesis(hypothesis="more is more", variant="more", against="less")


def test_the_deviation_is_that_of_a_sample() -> None:
    assert deviation([0.5]) is None
    assert deviation([0.5, 0.7]) == pytest.approx(np.std([0.5, 0.7], ddof=1))


@pytest.mark.parametrize(
    ("more", "less", "minimum_gain", "said"),
    [
        ((0.62, 0.61, 0.63), (0.50, 0.51, 0.52), 0.0, "supported"),
        ((0.50, 0.51, 0.52), (0.62, 0.61, 0.63), 0.0, "refuted"),
        ((0.62, 0.50, 0.55), (0.53, 0.51, 0.57), 0.0, "unclear"),
        ((0.62, 0.61), (0.50, 0.51, 0.52), 0.0, "unclear"),
        ((0.62,), (0.50,), 0.0, "unclear"),
        # 0.4 points worse, for certain.
        ((0.5960, 0.5961, 0.5959), (0.6, 0.6, 0.6), -0.005, "supported"),
        ((0.5960, 0.5961, 0.5959), (0.6, 0.6, 0.6), -0.002, "refuted"),
        ((0.5960, 0.5961, 0.5959), (0.6, 0.6, 0.6), -0.004, "unclear"),
    ],
)
def test_the_verdict_follows_the_criteria(
    more: tuple[float, ...], less: tuple[float, ...], minimum_gain: float, said: str
) -> None:
    hypothesis = HYPOTHESIS.model_copy(update={"minimum_gain": minimum_gain})
    judged = judge(hypothesis, {"more": more, "less": less})
    assert judged is not None
    assert judged.verdict == said
    assert judged.gain == pytest.approx(np.mean(more) - np.mean(less))


def test_the_error_is_that_of_a_difference_of_means() -> None:
    more, less = (0.6, 0.7, 0.65), (0.5, 0.56, 0.53, 0.57)
    judged = judge(HYPOTHESIS, {"more": more, "less": less})
    assert judged is not None and judged.error is not None
    errors = [statistics.stdev(each) / len(each) ** 0.5 for each in (more, less)]
    assert judged.error == pytest.approx(np.hypot(*errors))
    assert judged.to_dict()["hypothesis"] == "more is more"


def test_a_variant_that_was_not_trained_decides_nothing() -> None:
    assert judge(HYPOTHESIS, {"more": (0.6, 0.7, 0.65)}) is None


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    variants = [
        {
            "title": f"variant {len(scores)}",
            "complexity": {"ops": 1e8},
            "runs": [{"score": score} for score in scores],
            "score": {"mean": np.mean(scores), "deviation": deviation(scores)},
        }
        for scores in ([0.5, 0.52], [0.6])
    ]
    plot_ablation(variants, "miou", "two variants", tmp_path / "plot.png")
    Image.open(tmp_path / "plot.png").verify()
    with pytest.raises(LarqDenseError, match="cannot draw"):
        plot_ablation(variants, "miou", "two variants", tmp_path / "plot.txt")
