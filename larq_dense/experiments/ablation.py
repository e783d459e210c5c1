"""What the scores of an experiment's variants say of its hypotheses."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from larq_dense.experiments.experiment import Hypothesis
from larq_dense.experiments.verdict import Verdict

SEEDS = 3
ERRORS = 3


@dataclass(frozen=True)
class Judgement:
    """What the scores say of a hypothesis.

    Attributes:
        hypothesis: The hypothesis.
        gain: The difference of the mean scores.
        error: Its standard error; None where a variant has one seed.
        verdict: By `judge`.
    """

    hypothesis: Hypothesis
    gain: float
    error: float | None
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            **self.hypothesis.model_dump(),
            "gain": self.gain,
            "error": self.error,
            "verdict": self.verdict,
        }


def deviation(scores: Sequence[float]) -> float | None:
    """Return the standard deviation over seeds (of a sample), None for one seed."""
    return statistics.stdev(scores) if len(scores) > 1 else None


def judge(hypothesis: Hypothesis, scores: Mapping[str, Sequence[float]]) -> Judgement | None:
    """Judge a hypothesis by two variants' scores.

    It is supported if the gain minus three standard errors is above the minimum gain, and refuted
    if the gain plus three is below it. Otherwise, or with fewer than three seeds, it is unclear.

    Args:
        hypothesis: The hypothesis.
        scores: Each variant's score by seed.

    Returns:
        The judgement; None where a variant was not trained.
    """
    pair = [scores.get(name, ()) for name in (hypothesis.variant, hypothesis.against)]
    if not all(pair):
        return None
    good, other = pair
    gain = statistics.fmean(good) - statistics.fmean(other)
    if min(map(len, pair)) < 2:
        return Judgement(hypothesis, gain, None, "unclear")
    error = math.sqrt(sum(statistics.variance(each) / len(each) for each in pair))
    verdict: Verdict = "unclear"
    if min(map(len, pair)) >= SEEDS:
        if gain - ERRORS * error > hypothesis.minimum_gain:
            verdict = "supported"
        elif gain + ERRORS * error < hypothesis.minimum_gain:
            verdict = "refuted"
    return Judgement(hypothesis, gain, error, verdict)
