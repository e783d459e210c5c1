"""What an entry's weights have seen, and what they have not."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from larq_dense.training.recipe import Recipe


@dataclass(frozen=True)
class DataSet:
    """A data set that the zoo's entries were trained or measured on.

    Attributes:
        title: What its authors or its card call it.
        source: Where it comes from, and its licence as stated beside the copy used.
    """

    title: str
    source: str


DATA_SETS = {
    "idd_lite": DataSet(
        "IDD-Lite",
        "India Driving Dataset, Lite edition (Varma et al., WACV 2019; IIIT Hyderabad / INSAAN), "
        "distributed after registration; no licence beside the copy",
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
    name = PurePosixPath(folder).name
    return DATA_SETS.get(name, DataSet(name or folder, "a folder of your own"))


def history(recipe: "Recipe") -> list["Recipe"]:
    """Return a recipe and those of the entries that its weights began with, in turn."""
    from larq_dense.zoo import entries

    recipes = [recipe]
    while (init := recipes[-1].init) in entries.names() and len(recipes) <= len(entries.names()):
        recipes.append(entries.find(str(init)).recipe())
    return recipes


def trained_on(recipe: "Recipe") -> str:
    """Name all training sources, also those of the weights it began with: `"IDD-Lite and …"`."""
    folders = (source.folder for each in history(recipe) for source in each.data.train)
    return join_words(dict.fromkeys(data_set(folder).title for folder in folders))


def notice(recipe: "Recipe") -> str:
    """Say in one sentence what weights by this recipe have seen, and what they never saw."""
    benchmark, own = _BENCHMARKS.get(recipe.task, (None, None))
    splits = {
        source.split
        for each in history(recipe)
        for source in each.data.train
        if own is not None and PurePosixPath(source.folder).name == own
    }
    if splits:
        return (
            f"the weights were trained on {trained_on(recipe)}; of {benchmark} they saw the "
            f"{join_words(sorted(splits))} split only, and its validation split chose the "
            "checkpoint."
        )
    never = ""
    if benchmark is not None:
        never = f"; they never saw {benchmark}, the benchmark whose label set they use"
    return f"the weights were trained on {trained_on(recipe)}{never}."


def join_words(words: Iterable[str]) -> str:
    """Return `"a, b and c"`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
