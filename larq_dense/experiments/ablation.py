"""What the scores of a study's arms say of its claims."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from larq_dense.experiments.study import Claim
from larq_dense.experiments.verdict import Verdict

SEEDS = 3
ERRORS = 3


@dataclass(frozen=True)
class Judgement:
    """What the scores say of a claim.

    Attributes:
        claim: The claim.
        gain: The difference of the mean scores.
        error: Its standard error; None where an arm has one seed.
        verdict: By `judge`.
    """

    claim: Claim
    gain: float
    error: float | None
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            **self.claim.model_dump(),
            "gain": self.gain,
            "error": self.error,
            "verdict": self.verdict,
        }


def deviation(scores: Sequence[float]) -> float | None:
    """Return the standard deviation over seeds (of a sample), None for one seed."""
    return statistics.stdev(scores) if len(scores) > 1 else None


def judge(claim: Claim, scores: Mapping[str, Sequence[float]]) -> Judgement | None:
    """Judge a claim by two arms' scores.

    It holds where the gain less three standard errors is above the least that is claimed, breaks
    where the gain plus three is below it, and is unclear between, or with fewer than three seeds.

    Args:
        claim: The claim.
        scores: Each arm's score by seed.

    Returns:
        The judgement; None where an arm was not trained.
    """
    pair = [scores.get(name, ()) for name in (claim.arm, claim.against)]
    if not all(pair):
        return None
    good, other = pair
    gain = statistics.fmean(good) - statistics.fmean(other)
    if min(map(len, pair)) < 2:
        return Judgement(claim, gain, None, "unclear")
    error = math.sqrt(sum(statistics.variance(each) / len(each) for each in pair))
    verdict: Verdict = "unclear"
    if min(map(len, pair)) >= SEEDS:
        if gain - ERRORS * error > claim.least:
            verdict = "holds"
        elif gain + ERRORS * error < claim.least:
            verdict = "breaks"
    return Judgement(claim, gain, error, verdict)
