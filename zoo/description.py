"""What is known of an entry, without loading its network."""

from pathlib import Path
from typing import Any

from larq_dense.common.extra import is_installed
from larq_dense.common.files import read_json
from larq_dense.zoo import entries
from larq_dense.zoo.entries import Entry

DESCRIPTION = "entry.json"
"""What a recipe and its task say, written when an entry is published.

It is read without pydantic and YAML, which the base install lacks.
"""


def info(name: str | Path) -> dict[str, Any]:
    """Describe an entry.

    Args:
        name: An entry's name, its address on the hub (`hf://owner/name`), or the folder of one that
            was published elsewhere.

    Returns:
        JSON-ready: `name`, `task`, `title`, `main_metric`, `classes` (name and colour),
        `input` (height, width, mean, std), `notice` (what the weights have seen), `recipe` (every
        setting; None in the base install, which reads no YAML), `sha256` (None before it is
        published) and `metrics` (what was measured, each with its command).

    Raises:
        UnknownNameError: There is no such entry.
        LarqDenseError: One of its files is damaged.

    Examples:
        >>> from larq_dense import zoo
        >>> zoo.info("ecssd")["main_metric"]
        'maxf'
    """
    entry = entries.find(name)
    written = read_json(
        entry.folder / DESCRIPTION, dict, "install larq-dense or publish the entry again"
    )
    return {
        **(written or describe(entry)),
        "recipe": entry.recipe().to_dict() if _reads_recipes() else None,
        "sha256": entry.expected_sha256() if entry.is_published else None,
        "metrics": entry.metrics(),
    }


def describe(entry: Entry) -> dict[str, Any]:
    """Return what `entry.json` holds, from the entry's recipe; needs the extra `[tensorflow]`."""
    recipe, task = entry.recipe(), entry.task()
    return {
        "name": entry.name,
        "task": task.name,
        "title": task.title,
        "main_metric": task.main_metric,
        "classes": [{"name": each.name, "color": list(each.color)} for each in task.classes],
        "input": recipe.preprocessing.to_dict(),
        "notice": entry.notice,
    }


def _reads_recipes() -> bool:
    return is_installed("pydantic") and is_installed("yaml")
