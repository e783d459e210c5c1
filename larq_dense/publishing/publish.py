"""From a training run to an entry."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.errors import LarqDenseError
from larq_dense.common.files import write_bytes, write_json, write_text
from larq_dense.publishing.baselines import stages
from larq_dense.publishing.card import CURVE, PICTURE, card
from larq_dense.publishing.files import renew_files
from larq_dense.training.run import Run
from larq_dense.version import __version__
from larq_dense.zoo import entries
from larq_dense.zoo.description import DESCRIPTION, describe
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import Training, parent_recipe

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe

Measure = Callable[[Run], dict[str, Any]]


def publish(
    run_dir: str | Path, name: str, measure: Measure, root: str | Path | None = None
) -> Entry:
    """Turn a run's best weights into an entry, or into an entry's int8 variant.

    Of a full-precision run, the entry's baseline, only the figures are kept.

    The weights are packed, loaded again from the packed file and measured in the form that
    predicts (`models.exact.inference_form`); only then does the entry take its place.

    Args:
        run_dir: Holds `recipe.yaml` and `best.safetensors`.
        name: The entry's name; an entry of that name is replaced. An int8 run becomes
            the variant of the entry that there is, one in full precision its baseline.
        measure: Measures the packed entry, or the baseline's run: what `metrics.json` holds; and
            keeps the converted file (`publishing.files.keep_file`).
        root: Folder of entries; the zoo's own if left out.

    Returns:
        The entry in its place.

    Raises:
        LarqDenseError: The run or the name is not what it should be, or the folder cannot be
            written.

    Examples:
        >>> from functools import partial
        >>> from larq_dense.publishing.measure import measure
        >>> measure_it = partial(measure, data=Path("data"), repeats=50)
        >>> publish("runs/mine", "mine", measure_it, root="my_zoo").card_file  # doctest: +SKIP
        PosixPath('my_zoo/mine/card.md')
    """
    run, root = Run(Path(run_dir)), Path(root) if root else _own_zoo()
    target = Entry(root / name, name)
    if not name.isidentifier():
        raise LarqDenseError(f"an entry's name is letters, digits and underscores, not {name!r}.")
    # What is damaged is told before anything is measured.
    run.weights()
    run.scores()
    run.read()
    recipe = run.recipe().replace(name=name)
    if recipe.precision != "binary":
        return _publish_baseline(run, recipe, target, measure)
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(prefix=".publish-", dir=root)
    except OSError as error:
        raise LarqDenseError(
            f"cannot write {root}: {error.strerror}; choose another folder for the entry."
        ) from error
    with staging as folder:
        if recipe.quantize:
            _check_variant(run, recipe, target)
        # A variant belongs to the entry that it began with.
        replaces = target.folder.parent == entries.ROOT and not recipe.quantize
        before = target if replaces and target.is_published else None
        staged = _pack(run, recipe, Entry(Path(folder) / name, name), before)
        write_json(staged.metrics_file, _origin(name) | measure(staged))
        if recipe.quantize:
            _install(staged, target.int8().folder)
        else:
            write_json(staged.folder / DESCRIPTION, describe(staged))
            write_text(staged.card_file, card(staged))
            _drop_what_was_beside(target, recipe)
            _install(staged, target.folder)
    write_text(target.card_file, card(target))
    return target


def pack(run: Run, root: Path) -> Entry:
    """Make an entry of a run's best weights, converted, but not measured.

    Args:
        run: The run.
        root: Folder of the entry's folder.

    Raises:
        LarqDenseError: The run has no weights, is in full precision or int8, or its
            conversion fails its audit.
    """
    run.weights()
    name = re.sub(r"\W", "_", run.recipe().name)
    recipe = run.recipe().replace(name=name)
    if recipe.precision != "binary" or recipe.quantize:
        raise LarqDenseError(
            f"{run.folder} is no run of a binary network with float between its layers; add it "
            "to such a network's entry by `larq-dense zoo publish`."
        )
    entry = _pack(run, recipe, Entry(root / name, name))
    write_json(entry.folder / DESCRIPTION, describe(entry))
    renew_files(entry)
    return entry


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


def _check_variant(run: Run, recipe: "Recipe", target: Entry) -> None:
    """Refuse an int8 run that is not of the entry's network.

    Raises:
        LarqDenseError: There is no such entry, or it is for another task, network or data.
    """
    if not target.is_published:
        raise LarqDenseError(
            f"there is no entry {target.name} whose variant {run.folder} could be; publish its "
            "float weights first."
        )
    shared = ("task", "model", "input", "data.validation")
    if setting := recipe.first_difference(target.recipe(), shared):
        raise LarqDenseError(
            f"{run.folder} is no variant of the entry {target.name}, for its recipe has another "
            f"{setting}; name the entry that it began with."
        )


def _drop_what_was_beside(target: Entry, recipe: "Recipe") -> None:
    """Remove the variant of the weights before, and the baseline of other weights or a recipe."""
    shutil.rmtree(target.int8().folder, ignore_errors=True)
    if not target.baseline().metrics():
        return
    baseline = target.baseline().recipe()
    if baseline.init == target.name or not baseline.is_baseline_of(recipe):
        shutil.rmtree(target.baseline().folder)
        for picture in (PICTURE, CURVE):
            (target.folder / picture).unlink(missing_ok=True)


def _publish_baseline(run: Run, recipe: "Recipe", target: Entry, measure: Measure) -> Entry:
    """Keep the figures of an entry's full-precision baseline."""
    trainings = stages(run.folder, target) if target.is_published else []
    if not trainings:
        raise LarqDenseError(
            f"{run.folder} trained a full-precision network, but not the baseline of an entry "
            f"{target.name} by the same recipe; train that by `larq-dense train {target.name} "
            "--baseline`, from new weights, from the entry's (--init) or from the baseline of what "
            "the entry began with, or use the run as a teacher."
        )
    baseline = target.baseline()
    metrics = _origin(target.name) | {"stages": trainings}
    metrics |= measure(run)
    recipe.save(baseline.recipe_file)
    _keep_log(run, baseline)
    write_json(baseline.metrics_file, metrics)
    write_text(target.card_file, card(target))
    return target


def _origin(name: str) -> dict[str, Any]:
    """Return what figures are of."""
    return {"name": name, "version": __version__, "commit": _commit()}


def _pack(run: Run, recipe: "Recipe", entry: Entry, replaced: Entry | None = None) -> Entry:
    """Write recipe and packed weights of a run, which may go back to the entry that it replaces."""
    from larq_dense.models.weights import load_weights, save_weights

    model = recipe.build_model(task=run.task())
    load_weights(model, run.weights())
    _keep(recipe, entry.recipe_file, replaced)
    if run.classes_file.exists():
        write_bytes(entry.classes_file, run.classes_file.read_bytes())
    _keep_log(run, entry)
    digest = save_weights(model, entry.weights_file)
    write_text(entry.checksum_file, f"{digest}  {entry.weights_file.name}\n")
    return entry


def _keep(recipe: "Recipe", path: Path, replaced: Entry | None) -> None:
    """Write a recipe, and beside it those of what its training took weights or answers from.

    Args:
        recipe: The recipe.
        path: Where; the same may be there already.
        replaced: The entry that is to be replaced, if any. Its name will be that of other weights:
            what began with it names a run instead, and its own recipes are kept, too.

    Raises:
        LarqDenseError: A run's recipe is missing, or two are called the same.
    """
    from larq_dense.training.recipe import Recipe

    sources = [source for _, source in Training("", None, recipe).beginnings()]
    origin = replaced if replaced and replaced.name in sources else None
    if origin:
        recipe = _renamed(recipe, origin.name, _as_run(origin))
    if not _write_once(recipe, path):
        return
    if origin:
        _write_once(origin.recipe(), parent_recipe(path.parent, _as_run(origin)))
        for kept in origin.folder.glob(parent_recipe(origin.folder, "*").name):
            _write_once(Recipe.load(kept), path.with_name(kept.name))
    for source in sources:
        if source in entries.names():
            continue
        run = entries.find(source) if entries.is_address(source) else Run(Path(source))
        if not run.recipe_file.is_file():
            raise LarqDenseError(
                f"the training began with {source}, and there is no {run.recipe_file} to tell what "
                "it has seen; publish where that run's folder is."
            )
        _keep(run.recipe(), parent_recipe(path.parent, source), replaced)


def _write_once(recipe: "Recipe", path: Path) -> bool:
    """Write a recipe; returns whether it was not there yet.

    Raises:
        LarqDenseError: Another one is there.
    """
    from larq_dense.training.recipe import Recipe

    if path.exists():
        if Recipe.load(path) != recipe:
            raise LarqDenseError(f"two runs that it began with are called {path.stem}; rename one.")
        return False
    recipe.save(path)
    return True


def _as_run(entry: Entry) -> str:
    """Name the run that an entry's present weights are of."""
    return f"runs/{entry.name}_{entry.expected_sha256()[:8]}"


def _renamed(recipe: "Recipe", old: str, new: str) -> "Recipe":
    """Return a recipe that begins with, and learns from, `new` where it did so from `old`."""
    learning = recipe.distillation
    if learning and old in learning.teachers:
        teacher, *ensemble = (new if each == old else each for each in learning.teachers)
        learning = learning.model_copy(update={"teacher": teacher, "ensemble": tuple(ensemble)})
    return recipe.replace(init=new if recipe.init == old else recipe.init, distillation=learning)


def _keep_log(run: Run, entry: Entry) -> None:
    for kept, copy in ((run.log, entry.log), (run.read_file, entry.read_file)):
        if kept.is_file():
            write_bytes(copy, kept.read_bytes())


def _install(staged: Entry, folder: Path) -> None:
    """Move an entry's files to their place, the SHA-256, which makes them valid, last."""
    folder.mkdir(exist_ok=True)
    before = Entry(folder, staged.name)
    for stale in (
        before.checksum_file,
        before.log,
        before.read_file,
        *folder.glob(parent_recipe(folder, "*").name),
    ):
        stale.unlink(missing_ok=True)
    for path in sorted(staged.folder.iterdir(), key=lambda path: path == staged.checksum_file):
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
