"""ECSSD (Shi et al., TPAMI 2016) and its kin: the object against the background."""

from pathlib import Path

from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.data_sets import DataSet, register_data_set
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.layouts import Layout, Pair, two_folders
from larq_dense.tasks.masks import read_gray, read_values
from larq_dense.tasks.metrics import Metrics
from larq_dense.tasks.registry import register_task
from larq_dense.tasks.task import Task

# Names of the two folders in which data sets of salient objects come: ECSSD and HKU-IS from
# their authors, DUT-OMRON, and the packages in which they are handed on.
_TWO_FOLDERS = (
    ("images", "ground_truth_mask"),
    ("imgs", "gt"),
    ("DUT-OMRON-image", "pixelwiseGT-new-PNG"),
    ("Image", "GT"),
    ("Imgs", "GT"),
    ("Image", "Mask"),
    ("image", "mask"),
)
_DUTS = {"train": "DUTS-TR", "test": "DUTS-TE"}


def _two_folders(root: Path) -> tuple[Path, Path] | None:
    for images, masks in _TWO_FOLDERS:
        if (root / images).is_dir() and (root / masks).is_dir():
            return root / images, root / masks
    return None


def _ecssd_matches(root: Path) -> bool:
    return _two_folders(root) is not None


def _test_splits(root: Path) -> list[str]:
    return ["test", "all"]


def _test_pairs(root: Path, split: str) -> list[Pair]:
    found = _two_folders(root)
    return two_folders(*found) if found else []


def _duts_folders(root: Path) -> dict[str, tuple[Path, Path]]:
    found = {}
    for split, name in _DUTS.items():
        for place in (root / name, root):
            images, masks = place / f"{name}-Image", place / f"{name}-Mask"
            if images.is_dir() and masks.is_dir():
                found[split] = (images, masks)
                break
    return found


def _duts_matches(root: Path) -> bool:
    return bool(_duts_folders(root))


def _duts_splits(root: Path) -> list[str]:
    return list(_duts_folders(root))


def _duts_pairs(root: Path, split: str) -> list[Pair]:
    return two_folders(*_duts_folders(root)[split])


def _object(
    name: str, object_name: str = "object", hints: tuple[str, ...] = (), soft: bool = False
) -> Encoding:
    values = {0: "background", 255: object_name}
    means = {} if object_name == "object" else {"ecssd": {object_name: "object"}}
    reader = read_gray if soft else read_values
    return Encoding(name, values, frozenset(), hints, reader=reader, means=means, soft=soft)


@register_data_set("salient_objects")
def salient_objects() -> DataSet:
    """Return the labels and layouts of data sets of salient objects."""
    ecssd = Layout("ECSSD", "gray", _ecssd_matches, _test_splits, _test_pairs)
    duts = Layout("DUTS", "gray", _duts_matches, _duts_splits, _duts_pairs)
    return DataSet(
        (
            _object("objects", hints=("object", "objects")),
            _object("binary"),
            _object("gray", hints=("ecssd", "duts"), soft=True),
        ),
        (duts, ecssd),
    )


@register_data_set("people")
def people() -> DataSet:
    """Return the labels of whole persons."""
    return DataSet((_object("people", "person", ("people", "person", "persons", "ccp")),))


@register_data_set("horses")
def horses() -> DataSet:
    """Return the labels of horses."""
    return DataSet((_object("horses", "horse", ("horse", "horses")),))


def _metrics(class_names: tuple[str, ...]) -> Metrics:
    from larq_dense.tasks.saliency_metrics import SaliencyMetrics

    return SaliencyMetrics(class_names)


@register_task("ecssd")
def salient_object() -> Task:
    """Return the task of giving each pixel its probability of belonging to the object."""
    return Task(
        name="ecssd",
        title="object against background (one probability)",
        classes=(ClassInfo("background", (0, 0, 0)), ClassInfo("object", (255, 90, 60))),
        kind="saliency",
        main_metric="maxf",
        metrics=_metrics,
    )
