"""What the paper claims for a benchmark, and what is measured here: never in one column."""

from typing import Any, NamedTuple

from larq_dense.common.markdown import METRIC_TITLES, format_metric
from larq_dense.zoo.provenance import data_set, split_title

PAPER = "[arXiv 2405.17776](https://arxiv.org/abs/2405.17776)"


class Claim(NamedTuple):
    """A figure of the paper.

    Attributes:
        data: The folder that holds the benchmark, or what replaces it.
        figure: As the paper gives it.
        caveat: Why it cannot be compared directly with what is measured here.
    """

    data: str
    figure: str
    caveat: str


CLAIMS = {
    "cityscapes": Claim(
        "cityscapes256",
        "97.41 % mIoU on Cityscapes",
        "We read the paper's figure as that of two classes, drivable area or not, at full size. "
        "This one is on a 256×256 copy with labels recovered from JPEG: the two are not "
        "comparable.",
    ),
    "kitti_road": Claim(
        "kitti_road",
        "96.34 % on KITTI road",
        "It does not say by which metric.",
    ),
    "ecssd": Claim("ecssd", "0.853 MaxF on ECSSD", "This one is on all 1000 pictures."),
}
"""By an entry's name: an entry of another name is not the paper's network."""


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
    measured = "it has not been measured here, because its frames were not available"
    if ours:
        measured = (
            f"measured here: {format_metric(metric, ours['metrics'][metric])} "
            f"{METRIC_TITLES.get(metric, metric)} on {data_set(claim.data).title} "
            f"({split_title(ours['split'], ours['within'])})"
        )
    return f"Claimed by the paper ({PAPER}): {claim.figure}; {measured}. {claim.caveat}"
