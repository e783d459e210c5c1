"""From a training run to an entry."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_bytes, write_json, write_text
from larq_dense.version import __version__
from larq_dense.zoo import entries
from larq_dense.zoo.card import card
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import Training, ancestor

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe

Measure = Callable[[Entry], dict[str, Any]]


def publish(
    run_dir: str | Path, name: str, measure: Measure, root: str | Path | None = None
) -> Entry:
    """Turn a run's best weights into an entry, or into an entry's variant in eight bits.

    The weights are brought to a grid (`models.exact.snap`) and packed, loaded again from the packed
    file and measured; only then does the entry take its place.

    Args:
        run_dir: Holds `recipe.yaml` and `best.safetensors`.
        name: The entry's name; an entry of that name is replaced. A run in eight bits becomes
            the variant of the entry that there is.
        measure: Measures the packed entry: what `metrics.json` holds.
        root: Folder of entries; the zoo's own if left out.

    Returns:
        The entry in its place.

    Raises:
        LarqDenseError: The run or the name is not what it should be, or the folder cannot be
            written.
    """
    run_dir, root = Path(run_dir), Path(root) if root else entries.ROOT
    target = Entry(name, root / name)
    if not name.isidentifier():
        raise LarqDenseError(f"an entry's name is letters, digits and underscores, not {name!r}.")
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(prefix=".publish-", dir=root)
    except OSError as error:
        raise LarqDenseError(
            f"cannot write {root}: {error.strerror}; choose another folder for the entry."
        ) from error
    with staging as folder:
        staged = _pack(run_dir, Entry(name, Path(folder) / name))
        quantized = staged.recipe().quantize
        if quantized and not target.is_published:
            raise LarqDenseError(
                f"there is no entry {name} whose variant {run_dir} could be; publish its float "
                "weights first."
            )
        metrics = {"name": name, "version": __version__, "commit": _commit(), **measure(staged)}
        write_json(staged.folder / "metrics.json", metrics)
        if quantized:
            _install(staged, target.int8().folder)
            write_text(target.folder / "card.md", card(target))
        else:
            write_text(staged.folder / "card.md", card(staged))
            # A variant of the weights before is none of these.
            shutil.rmtree(target.int8().folder, ignore_errors=True)
            _install(staged, target.folder)
    return target


def _pack(run_dir: Path, entry: Entry) -> Entry:
    """Write recipe and packed weights of a run."""
    from larq_dense.models.exact import snap
    from larq_dense.models.weights import load_weights, save_weights
    from larq_dense.training.recipe import Recipe

    best = run_dir / "best.safetensors"
    if not best.is_file():
        raise LarqDenseError(f"{run_dir} holds no best.safetensors; finish its training first.")
    recipe = Recipe.load(run_dir / "recipe.yaml").replace(name=entry.name)
    if recipe.model.get("precision", "binary") != "binary":
        raise LarqDenseError(
            f"{run_dir} trained a full-precision network; entries are binary. Use it as a teacher."
        )
    model = recipe.build_model(task=recipe.get_task(run_dir))
    load_weights(model, best)
    if not recipe.quantize:
        snap(model)
    recipe.save(entry.folder / "recipe.yaml")
    _keep_ancestors(recipe, entry.folder)
    own_classes = run_dir / "classes.yaml"
    if own_classes.exists():
        write_bytes(entry.folder / own_classes.name, own_classes.read_bytes())
    path = entry.folder / "weights.safetensors"
    digest = save_weights(model, path)
    # In the form that `sha256sum --check` reads.
    write_text(entry.folder / "weights.sha256", f"{digest}  {path.name}\n")
    return entry


def _keep_ancestors(recipe: "Recipe", folder: Path) -> None:
    """Write the recipes of the runs that a training took weights or answers from, in turn."""
    from larq_dense.training.recipe import Recipe

    for _, source in Training("", None, recipe).beginnings():
        if source in entries.names():
            continue
        path = Path(source) / "recipe.yaml"
        if not path.is_file():
            raise LarqDenseError(
                f"the training began with {source}, and there is no {path} to tell what it has "
                "seen; publish where that run's folder is."
            )
        kept, before = ancestor(folder, source), Recipe.load(path)
        if kept.exists() and Recipe.load(kept) != before:
            raise LarqDenseError(f"two runs that it began with are called {kept.stem}; rename one.")
        if not kept.exists():
            before.save(kept)
            _keep_ancestors(before, folder)


def _install(staged: Entry, folder: Path) -> None:
    """Move an entry's files to their place, the SHA-256, which makes them valid, last."""
    folder.mkdir(exist_ok=True)
    checksum = folder / "weights.sha256"
    for stale in (checksum, *folder.glob(ancestor(folder, "*").name)):
        stale.unlink(missing_ok=True)
    for path in sorted(staged.folder.iterdir(), key=lambda path: path.name == checksum.name):
        path.replace(folder / path.name)


def _commit() -> str | None:
    """Return the checkout's commit, marked if files differ from it, or None outside of one."""
    if _git("rev-parse", "--show-prefix") != "zoo/":
        return None
    return _git("describe", "--always", "--abbrev=12", "--dirty")


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
