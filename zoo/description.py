"""What is known of an entry, without loading its network."""

from pathlib import Path
from typing import Any

from larq_dense.zoo import entries


def info(name: str | Path) -> dict[str, Any]:
    """Describe an entry.

    Args:
        name: An entry's name, or the folder of one that was published elsewhere.

    Returns:
        JSON-ready: `name`, `task`, `title`, `main_metric`, `classes` (name and colour),
        `input` (height, width, mean, std), `notice` (what the weights have seen), `sha256` (None
        before it is published), `recipe` (every setting) and `metrics` (what was measured, each
        with its command).

    Raises:
        UnknownNameError: There is no such entry.
    """
    entry = entries.find(name)
    recipe, task = entry.recipe(), entry.task()
    return {
        "name": entry.name,
        "task": task.name,
        "title": task.title,
        "main_metric": task.main_metric,
        "classes": [{"name": each.name, "color": list(each.color)} for each in task.classes],
        "input": recipe.preprocessing.to_dict(),
        "notice": entry.notice,
        "sha256": entry.expected_sha256() if entry.is_published else None,
        "recipe": recipe.to_dict(),
        "metrics": entry.metrics(),
    }
