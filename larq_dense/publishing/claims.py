"""What the paper claims for a benchmark, beside what is measured here: never in one column."""

from typing import Any, NamedTuple

from larq_dense.common.markdown import METRIC_TITLES, format_metric
from larq_dense.zoo.provenance import data_set, split_title

PAPER = "[arXiv 2405.17776](https://arxiv.org/abs/2405.17776)"


class Claim(NamedTuple):
    """A figure of the paper.

    Attributes:
        data: Our folder that holds the benchmark, or what stands for it.
        figure: As the paper gives it.
        caveat: Why it does not simply compare with ours.
    """

    data: str
    figure: str
    caveat: str


CLAIMS = {
    "cityscapes": Claim(
        "cityscapes256",
        "97.41 % mIoU on Cityscapes",
        "That this is of the two classes of drivable area is our reading, and its pictures have "
        "their full size; ours are a 256×256 copy with labels recovered from JPEG, so that the two "
        "do not compare.",
    ),
    "kitti_road": Claim(
        "kitti_road",
        "96.34 % on KITTI road",
        "It does not say by which metric.",
    ),
    "ecssd": Claim("ecssd", "0.853 MaxF on ECSSD", "Ours is on all 1000 pictures."),
}
"""By an entry's name: an entry of another name does not stand for the paper's network."""


def claim_sentence(name: str, metric: str, rows: list[dict[str, Any]]) -> str | None:
    """Return a card's sentences on the paper's claim, if there is one for this entry.

    Args:
        name: The entry's.
        metric: Its task's main metric.
        rows: What `metrics.json` has as `accuracy`.
    """
    claim = CLAIMS.get(name)
    if claim is None:
        return None
    ours = next((row for row in rows if row["data"] == claim.data), None)
    measured = "it has not been measured here, for its frames are not at hand"
    if ours:
        measured = (
            f"measured here: {format_metric(metric, ours['metrics'][metric])} "
            f"{METRIC_TITLES.get(metric, metric)} on {data_set(claim.data).title} "
            f"({split_title(ours['split'], ours['within'])})"
        )
    return f"Claimed by the paper ({PAPER}): {claim.figure}; {measured}. {claim.caveat}"
