"""What each part of the method is worth: arms that differ by it, and how they are judged."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from larq_dense.evaluation.verdict import Verdict

METHOD: dict[str, Any] = {
    "branches": 3,
    "attention": "both",
    "precision": "binary",
    "upsampling": "subpixel",
    "gated": True,
    "shared_threshold": False,
    "attention_per_branch": False,
}
"""The whole method, as arguments of `models.build`."""


@dataclass(frozen=True)
class Arm:
    """One network of the comparison.

    Attributes:
        title: What it is, in a few words.
        changes: The settings in which it differs from `METHOD`.
    """

    title: str
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the arm settles, as arguments of `models.build`."""
        return METHOD | self.changes


ARMS = {
    "k1": Arm("K = 1", {"branches": 1, "attention": "none"}),
    "k3": Arm("K = 3, no attention", {"attention": "none"}),
    "k3-attention": Arm("K = 3 with attention, the whole method"),
    "k5": Arm("K = 5 with attention", {"branches": 5}),
    "no-gates": Arm("gates off", {"gated": False}),
    "shared-thresholds": Arm("thresholds shared", {"shared_threshold": True}),
    "attention-per-branch": Arm("attention per branch", {"attention_per_branch": True}),
    "nearest": Arm("upsampling nearest", {"upsampling": "nearest"}),
    "float": Arm("full-precision twin", {"precision": "float"}),
}


@dataclass(frozen=True)
class Claim:
    """What a pair of arms decides.

    Attributes:
        sentence: The claim.
        arm: The arm that should be good.
        against: The arm that it is held against.
        least: The claim is that `arm` scores more than this above `against`.
    """

    sentence: str
    arm: str
    against: str
    least: float = 0.0


# Written down before any figure was seen. Half a point counts as "no worse"; two points are what
# an entry may lose to its twin.
CLAIMS = (
    Claim("three branches gain over one", "k3", "k1"),
    Claim("the attention gains", "k3-attention", "k3"),
    Claim("five branches gain over three", "k5", "k3-attention"),
    Claim("the gates gain", "k3-attention", "no-gates"),
    Claim("a threshold for each branch gains", "k3-attention", "shared-thresholds"),
    Claim("one attention does for all", "k3-attention", "attention-per-branch", -0.005),
    Claim("sub-pixel upsampling is no worse than nearest", "k3-attention", "nearest", -0.005),
    Claim("binary is within two points of full precision", "k3-attention", "float", -0.02),
)
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
            "claim": self.claim.sentence,
            "arm": self.claim.arm,
            "against": self.claim.against,
            "least": self.claim.least,
            "gain": self.gain,
            "error": self.error,
            "verdict": self.verdict,
        }


def spread(scores: Sequence[float]) -> float | None:
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
