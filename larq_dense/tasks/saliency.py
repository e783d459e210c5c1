"""ECSSD (Shi et al., TPAMI 2016) and its kin: the object against the background."""

from functools import cache
from pathlib import Path

from larq_dense.tasks.classes import ClassInfo
from larq_dense.tasks.layouts import Layout, Pair, two_folders
from larq_dense.tasks.metrics import Metrics
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


LAYOUT = Layout(
    "ECSSD", "gray", lambda root: _two_folders(root) is not None, _test_splits, _test_pairs
)
DUTS_LAYOUT = Layout("DUTS", "gray", _duts_matches, _duts_splits, _duts_pairs)


def _metrics(class_names: tuple[str, ...]) -> Metrics:
    from larq_dense.tasks.saliency_metrics import SaliencyMetrics

    return SaliencyMetrics(class_names)


@cache
def salient_object() -> Task:
    """Return the task of giving each pixel its probability of belonging to the object."""
    return Task(
        name="ecssd",
        title="object against background (one probability)",
        classes=(ClassInfo("background", (0, 0, 0)), ClassInfo("object", (255, 90, 60))),
        kind="saliency",
        main_metric="maxf",
        class_maps={"people": {"person": "object"}, "horses": {"horse": "object"}},
        layouts=(DUTS_LAYOUT, LAYOUT),
        metrics=_metrics,
    )
