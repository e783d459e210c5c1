"""What an entry's weights have seen, and what they have not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe
    from larq_dense.training.run import Run
    from larq_dense.training.settings import SourceSettings
    from larq_dense.zoo.entries import Entry


_TEACHER = "teacher"
"""How the roles of what a teacher has seen begin."""
_LABELLED = f"{_TEACHER}'s labels"
"""The role of pictures whose masks only the teacher gave."""


@dataclass(frozen=True)
class DataSet:
    """A data set that weights were trained or measured on.

    Attributes:
        title: What its authors or its card call it; the folder's name of data that is not known.
        source: Where it comes from, and its licence as stated with the copy used.
        benchmark: The benchmark that it is a copy of, if any.
        known: Whether it is known what the data are.
        splits: What identifies its lists, by name; see `training.record`.
    """

    title: str
    source: str
    benchmark: str | None = None
    known: bool = True
    splits: Mapping[str, str] = field(default_factory=dict)


class Training(NamedTuple):
    """One training that an entry's weights go back to.

    Attributes:
        role: What it was for the next one, as a card says it.
        source: How the recipe after it names it: an entry or a run's folder; None for the last.
        recipe: What it followed.
    """

    role: str
    source: str | None
    recipe: "Recipe"

    def beginnings(self) -> list[tuple[str, str]]:
        """Return what else it took weights or answers from, and for what."""
        found = []
        if self.recipe.init:
            found.append((f"{_whose(self.role)}initial weights", self.recipe.init))
        for teacher in self.recipe.teachers:
            found.append((f"{_TEACHER}'s training", teacher))
        return found


class Use(NamedTuple):
    """One data set that weights have learned from.

    Attributes:
        role: What for, as a card says it.
        folder: As the recipe names it.
        split: Its split, and the list that limits it, if any.
        data: What is known of it.
    """

    role: str
    folder: str
    split: str
    data: DataSet


# Task → the benchmark whose label set it uses.
_BENCHMARKS = {
    "cityscapes": "Cityscapes",
    "cityscapes19": "Cityscapes",
    "kitti_road": "KITTI road",
    "ecssd": "ECSSD",
    "camvid": "CamVid",
    "idd_lite": "IDD-Lite",
}


@cache
def data_sets() -> dict[str, DataSet]:
    """Return the data sets of this zoo's own entries by the names of their folders."""
    import yaml

    found = {}
    for path in sorted((Path(__file__).parent / "data_sets").glob("*.yaml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        source = "; ".join(filter(None, (values["source"], values.get("licence"))))
        found[path.stem] = DataSet(
            values["title"], source, values.get("benchmark"), splits=values.get("splits", {})
        )
    return found


def data_set(folder: str) -> DataSet:
    """Return what is known of a folder that this zoo was trained or measured on, by its name.

    A folder that is not described has its own name.
    """
    path, known = PurePosixPath(folder), data_sets()
    own = DataSet(path.name or folder, "a folder of your own", known=False)
    return known.get("_".join(path.parts[-2:]), known.get(path.name, own))


def described(run: "Run", folder: str, split: str) -> DataSet:
    """Return what is known of the data that a run read in a folder.

    What the run noted of its lists decides. What it did not note, a training from before such notes
    has read, one of this zoo's: that goes by the folder's name.

    Args:
        run: The run or entry.
        folder: As a recipe names it.
        split: The list.
    """
    read = [note for note in run.read() if (note["folder"], note["split"]) == (folder, split)]
    if not read:
        return data_set(folder)
    unknown = DataSet(PurePosixPath(folder).name or folder, "a folder of your own", known=False)
    if len(read) > 1:
        return unknown
    if layout := read[0]["layout"]:
        return DataSet(layout, "as its authors publish it", benchmark=layout)
    lists = ((each, each.splits.get(split)) for each in data_sets().values())
    return next((each for each, names in lists if names == read[0]["names"]), unknown)


def history(entry: "Entry") -> list[Training]:
    """Return how an entry's weights came to be, from the last training back to the first.

    Raises:
        LarqDenseError: A recipe that an earlier training followed is missing.
    """
    met: list[Recipe] = []
    found: list[Training] = []

    def visit(training: Training, folder: Path) -> None:
        if training.recipe in met:
            return
        met.append(training.recipe)
        for role, source in training.beginnings():
            recipe, home = recipe_of(folder, source)
            visit(Training(role, source, recipe), home)
        found.append(training)

    visit(Training("training", None, entry.recipe()), entry.folder)
    return found[::-1]


def recipe_of(folder: Path, source: str) -> tuple["Recipe", Path]:
    """Return what an entry or a run followed, and the folder with the recipes before it."""
    from larq_dense.training.recipe import Recipe
    from larq_dense.zoo import entries

    if source in entries.names():
        before = entries.find(source)
        return before.recipe(), before.folder
    return Recipe.load(parent_recipe(folder, source)), folder


def parent_recipe(folder: Path, source: str) -> Path:
    """Return where an entry keeps the recipe of a run that its training began with."""
    return folder / f"parent-{PurePosixPath(source).name}.yaml"


def seen(entry: "Entry") -> list[Use]:
    """Return every data set that an entry's weights have learned from."""
    return _uses(entry, history(entry))


def _uses(entry: "Entry", trainings: Iterable[Training]) -> list[Use]:
    """Return every data set that an entry's trainings have read; see `history`."""
    found: list[Use] = []
    for role, _, recipe in trainings:
        found += [use_of(entry, role, source) for source in recipe.data.train]
        for each in recipe.data.unlabelled:
            split = each.split or "all"
            data = described(entry, each.folder, split)
            found.append(Use(_LABELLED, each.folder, split, data))
        if recipe.encoder_weights:
            name = PurePosixPath(recipe.encoder_weights).stem
            began = f"{_whose(role)}initial encoder weights"
            found.append(Use(began, name, "train", data_set(name)))
    return found


def _whose(role: str) -> str:
    return f"{_TEACHER}'s " if role.startswith(_TEACHER) else ""


def use_of(entry: "Entry", role: str, source: "SourceSettings") -> Use:
    """Return what a recipe does with one of its sources."""
    data = described(entry, source.folder, source.split)
    return Use(role, source.folder, split_title(source.split, source.within), data)


def split_title(split: str, within: str | None) -> str:
    """Name a split, and the list that limits it, if any."""
    return f"{split}, {within}" if within else split


def notice(entry: "Entry") -> str:
    """Say in one sentence what an entry's weights have seen, and what they never saw."""
    benchmark = _BENCHMARKS.get(entry.recipe().task)
    trainings = history(entry)
    uses = _uses(entry, trainings)
    titles = _titles(
        use for use in uses if use.role == _LABELLED or not use.role.startswith(_TEACHER)
    )
    learned = join_words(titles)
    # What only its teacher saw has still come to it.
    if taught := [title for title in _titles(uses) if title not in titles]:
        several = any(len(each.recipe.teachers) > 1 for each in trainings)
        who = "teachers" if several else "a teacher"
        learned += f", by {who} that also learned from {join_words(taught)}"
    splits = {use.split for use in uses if benchmark and use.data.benchmark == benchmark}
    if splits:
        # One validation selects nothing; int8 fine-tuning is validated before its first step, too.
        validations = len(entry.scores()) + entry.recipe().quantize
        selected = ", and its validation split chose the checkpoint" * (validations > 1)
        return (
            f"the weights were trained on {learned}; of {benchmark} they saw the "
            f"{join_words(sorted(splits))} split only{selected}."
        )
    never = ""
    # Of data that is not known nobody can say what it holds.
    if benchmark is not None and all(use.data.known for use in uses):
        never = f"; they never saw {benchmark}, the benchmark whose label set they use"
    return f"the weights were trained on {learned}{never}."


def _titles(uses: Iterable[Use]) -> list[str]:
    return list(dict.fromkeys(use.data.title for use in uses))


def join_words(words: Iterable[str]) -> str:
    """Return `"a, b and c"`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
