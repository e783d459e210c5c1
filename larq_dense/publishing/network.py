"""What a smaller network leaves out of the paper's method."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from larq_dense.publishing.claims import PAPER
from larq_dense.zoo import entries
from larq_dense.zoo.provenance import history

if TYPE_CHECKING:
    from larq_dense.zoo.entries import Entry

BRANCHES = 3
"""In each layer of the decoder of the networks that have the whole method."""
BLOCKS = 16
"""Residual blocks in their encoder, four in each of four stages."""


def left_out(entry: "Entry") -> str | None:
    """Return a card's sentences on what an entry's network lacks of the paper's method.

    Args:
        entry: The entry, with the recipes of what its training began with.

    Returns:
        The sentences, or None if nothing is left out.

    Examples:
        >>> from larq_dense import zoo
        >>> left_out(zoo.find("ecssd")) is None
        True
    """
    model = entry.recipe().model
    if str(model.get("decoder", "fpn")).startswith("compact"):
        return (
            f"Designed for measured time; of the method of {PAPER} it leaves out the parallel "
            "branches, with their gates and their merge, attention but at the coarsest stage, and "
            "every layer at 1/2 of the picture's size but the stem."
        )
    lacks = [*_blocks(model), *_branches(model)]
    if not lacks:
        return None
    text = f"A smaller form of the method of {PAPER}: {' and '.join(lacks)}."
    if origin := _origin(entry):
        text += f" Its layers began with the weights that `{origin}` has for them."
    return text


def _origin(entry: "Entry") -> str | None:
    """Return the entry that the weights go back to, if any."""
    begun = (source for role, source, _ in history(entry) if role == "initial weights")
    known = entries.names()
    return next((source for source in begun if source in known), None)


def _branches(model: Mapping[str, Any]) -> list[str]:
    branches = model.get("branches", BRANCHES)
    if branches >= BRANCHES:
        return []
    each = "one branch" if branches == 1 else f"{branches} branches"
    parts = ", so that there is nothing to gate or merge and no other branch for the attention"
    return [f"{each} in each layer of the decoder in place of {BRANCHES}{parts * (branches == 1)}"]


def _blocks(model: Mapping[str, Any]) -> list[str]:
    given = model.get("encoder_options", {}).get("blocks", 4)
    blocks = given * 4 if isinstance(given, int) else sum(given)
    if blocks >= BLOCKS:
        return []
    return [f"{blocks} residual blocks in the encoder in place of {BLOCKS}"]
