"""From a training run to an entry."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_bytes, write_json, write_text
from larq_dense.publishing.card import CURVE, PICTURE, card
from larq_dense.publishing.twins import stages
from larq_dense.version import __version__
from larq_dense.zoo import entries
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import Training, ancestor

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe

Measure = Callable[[Entry], dict[str, Any]]


def publish(
    run_dir: str | Path, name: str, measure: Measure, root: str | Path | None = None
) -> Entry:
    """Turn a run's best weights into an entry, or into an entry's variant in eight bits.

    Of a full-precision run, the entry's twin, only the figures are kept.

    The weights are brought to a grid (`models.exact.snap`) and packed, loaded again from the packed
    file and measured; only then does the entry take its place.

    Args:
        run_dir: Holds `recipe.yaml` and `best.safetensors`.
        name: The entry's name; an entry of that name is replaced. A run in eight bits becomes
            the variant of the entry that there is, one in full precision its twin.
        measure: Measures the packed entry, or the twin's run: what `metrics.json` holds.
        root: Folder of entries; the zoo's own if left out.

    Returns:
        The entry in its place.

    Raises:
        LarqDenseError: The run or the name is not what it should be, or the folder cannot be
            written.
    """
    from larq_dense.training.recipe import Recipe

    run_dir, root = Path(run_dir), Path(root) if root else _own_zoo()
    target = Entry(name, root / name)
    if not name.isidentifier():
        raise LarqDenseError(f"an entry's name is letters, digits and underscores, not {name!r}.")
    if not (run_dir / "best.safetensors").is_file():
        raise LarqDenseError(f"{run_dir} holds no best.safetensors; finish its training first.")
    recipe = Recipe.load(run_dir / "recipe.yaml").replace(name=name)
    if recipe.precision != "binary":
        return _publish_twin(run_dir, recipe, target, measure)
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(prefix=".publish-", dir=root)
    except OSError as error:
        raise LarqDenseError(
            f"cannot write {root}: {error.strerror}; choose another folder for the entry."
        ) from error
    with staging as folder:
        if recipe.quantize:
            _check_variant(run_dir, recipe, target)
        staged = _pack(run_dir, recipe, Entry(name, Path(folder) / name))
        write_json(staged.folder / "metrics.json", _origin(name) | measure(staged))
        if recipe.quantize:
            _install(staged, target.int8().folder)
        else:
            write_text(staged.folder / "card.md", card(staged))
            _drop_what_was_beside(target, recipe)
            _install(staged, target.folder)
    write_text(target.folder / "card.md", card(target))
    return target


def _own_zoo() -> Path:
    """Return the checkout's zoo.

    Raises:
        LarqDenseError: The zoo is part of an installed package.
    """
    if (entries.ROOT.parent / "__init__.py").exists():
        raise LarqDenseError(
            f"{entries.ROOT} belongs to the installed package and is not to be changed; name a "
            "folder of your own by --zoo, or publish from a checkout."
        )
    return entries.ROOT


def _check_variant(run_dir: Path, recipe: "Recipe", target: Entry) -> None:
    """Refuse a run in eight bits that is not of the entry's network.

    Raises:
        LarqDenseError: There is no such entry, or it is for another task, network or data.
    """
    if not target.is_published:
        raise LarqDenseError(
            f"there is no entry {target.name} whose variant {run_dir} could be; publish its float "
            "weights first."
        )
    shared = ("task", "model", "input", "data.validation")
    if setting := recipe.first_difference(target.recipe(), shared):
        raise LarqDenseError(
            f"{run_dir} is no variant of the entry {target.name}, for its recipe has another "
            f"{setting}; name the entry that it began with."
        )


def _drop_what_was_beside(target: Entry, recipe: "Recipe") -> None:
    """Remove the variant of the weights before, and the twin of another recipe."""
    shutil.rmtree(target.int8().folder, ignore_errors=True)
    if target.twin().metrics() and not target.twin().recipe().is_twin_of(recipe):
        shutil.rmtree(target.twin().folder)
        for picture in (PICTURE, CURVE):
            (target.folder / picture).unlink(missing_ok=True)


def _publish_twin(run_dir: Path, recipe: "Recipe", target: Entry, measure: Measure) -> Entry:
    """Keep the figures of an entry's full-precision twin."""
    trainings = stages(run_dir, target) if target.is_published else []
    if not trainings:
        raise LarqDenseError(
            f"{run_dir} trained a full-precision network, but not the twin of an entry "
            f"{target.name} by the same recipe; train that by `larq-dense train {target.name} "
            "--twin`, from new weights or from the twin of what the entry began with, or use the "
            "run as a teacher."
        )
    twin = target.twin()
    metrics = _origin(target.name) | {"stages": trainings}
    metrics |= measure(Entry(target.name, run_dir))
    recipe.save(twin.folder / "recipe.yaml")
    _keep_log(run_dir, twin)
    write_json(twin.folder / "metrics.json", metrics)
    write_text(target.folder / "card.md", card(target))
    return target


def _origin(name: str) -> dict[str, Any]:
    """Return what figures are of."""
    return {"name": name, "version": __version__, "commit": _commit()}


def _pack(run_dir: Path, recipe: "Recipe", entry: Entry) -> Entry:
    """Write recipe and packed weights of a run."""
    from larq_dense.models.exact import snap
    from larq_dense.models.weights import load_weights, save_weights

    model = recipe.build_model(task=recipe.get_task(run_dir))
    load_weights(model, run_dir / "best.safetensors")
    if not recipe.quantize:
        snap(model)
    recipe.save(entry.folder / "recipe.yaml")
    _keep_ancestors(recipe, entry.folder)
    own_classes = run_dir / "classes.yaml"
    if own_classes.exists():
        write_bytes(entry.folder / own_classes.name, own_classes.read_bytes())
    _keep_log(run_dir, entry)
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


def _keep_log(run_dir: Path, entry: Entry) -> None:
    log = Entry(entry.name, run_dir).log
    if log.is_file():
        write_bytes(entry.log, log.read_bytes())


def _install(staged: Entry, folder: Path) -> None:
    """Move an entry's files to their place, the SHA-256, which makes them valid, last."""
    folder.mkdir(exist_ok=True)
    checksum = folder / "weights.sha256"
    stale_log = Entry(staged.name, folder).log
    for stale in (checksum, stale_log, *folder.glob(ancestor(folder, "*").name)):
        stale.unlink(missing_ok=True)
    for path in sorted(staged.folder.iterdir(), key=lambda path: path.name == checksum.name):
        path.replace(folder / path.name)


def _commit() -> str | None:
    """Return the checkout's commit, marked if files differ from it, or None outside of one."""
    if _git("rev-parse", "--show-prefix") != "zoo/":
        return None
    return _git("describe", "--always", "--abbrev=12", "--dirty")


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(entries.__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
