"""Full-precision baselines of entries: the trainings that lead to one."""

from pathlib import Path
from typing import TYPE_CHECKING

from larq_dense.common.errors import LarqDenseError
from larq_dense.training.run import RECIPE, Run
from larq_dense.zoo.entries import BASELINE
from larq_dense.zoo.provenance import parent_recipe, recipe_of

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe
    from larq_dense.zoo.entries import Entry

BASELINE_RECIPE = f"{BASELINE}/{RECIPE}"
"""Where an entry keeps its baseline's recipe."""


def stages(run_dir: Path, entry: "Entry") -> list[dict[str, str]]:
    """Return the trainings that led to a baseline, from the first on.

    A baseline begins with new weights, with the entry's or those that the entry began with, or with
    the baseline of what the entry began with, and so on back.

    Args:
        run_dir: A run in full precision.
        entry: What it may be the baseline of.

    Returns:
        Each training's `recipe`, as `larq-dense train` takes it, and `run`; none if `run_dir` is no
        baseline of the entry. The recipe is that of an entry or run, for `--baseline`, or ends with
        `BASELINE_RECIPE`.

    Raises:
        LarqDenseError: A recipe that an earlier training followed is missing, or an earlier
            baseline is not the one that its entry publishes.
    """
    title, original, folder = entry.name, entry.recipe(), entry.folder
    found: list[dict[str, str]] = []
    while True:
        baseline = Run(run_dir).recipe()
        if not baseline.is_baseline_of(original):
            return []
        goes_on = baseline.goes_on_from(original)
        if goes_on and "/" not in title:
            if found:  # the last training's own recipe is yet to be published
                _refuse_unpublished(baseline, run_dir, folder)
            # It may be of another length than the entry, so that only its own recipe repeats it.
            title = f"zoo/{title}/{BASELINE_RECIPE}"
        found.insert(0, {"recipe": title, "run": str(run_dir)})
        if goes_on or baseline.init is None:
            return found
        if original.init is None:
            return []
        run_dir, source = Path(baseline.init), original.init
        kept = parent_recipe(folder, source)
        original, folder = recipe_of(folder, source)
        title = f"zoo/{folder.name}/{kept.name}" if kept.parent == folder else source


def _refuse_unpublished(baseline: "Recipe", run_dir: Path, entry: Path) -> None:
    """Refuse to go on from a baseline that the recipe in the entry's folder would not repeat."""
    kept = Run(entry / BASELINE)
    if not kept.recipe_file.is_file() or kept.recipe() != baseline:
        raise LarqDenseError(
            f"{run_dir} is not the baseline that the entry {entry.name} publishes; publish it by "
            f"`larq-dense zoo publish {run_dir} {entry.name} --data DIR`, or begin with the run of "
            f"{kept.recipe_file}."
        )
