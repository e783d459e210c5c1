"""Write a recipe for every network on every task, by the task's own recipe next to this file.

    python recipes/make.py
    python recipes/make.py --short FOLDER

A network is compared with another on what it reaches by the same pictures, crops, augmentation,
loss, teacher and number of steps. So all that differs from file to file is the network, what it
begins with, and the learning rates: those that begin with trained weights take lower ones.

`--short` writes the short trainings of docs/frontier.md instead, for runs of the same names in the
same folder.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent

IMAGENET_V2 = "weights/mobilenet_v2_1.0_224_quant.tflite"
IMAGENET_LITE0 = "weights/efficientnet_lite0_imagenet.npz"

Settings = dict[str, Any]


def compact(size: str) -> Settings:
    """Return a binary network of the compact family."""
    name = f"compact_{size}"
    return {
        "model": {"encoder": name, "decoder": name},
        "optimizer": {"learning_rate": 0.002, "binary_learning_rate": 0.003},
    }


def large(entry: str) -> Settings:
    """Return the largest compact network, with a stem and stages that fit an entry's weights."""
    options = {"stem": 32, "blocks": [2, 3, 4, 2]}
    return {
        "model": {"encoder": "compact_l", "decoder": "compact_l", "encoder_options": options},
        "optimizer": {"learning_rate": 0.0015, "binary_learning_rate": 0.0015},
        "init": entry,
    }


def slim(entry: str) -> Settings:
    """Return the method of the paper with one branch and nine blocks, cut out of an entry.

    Layers keep their names, so that the weights of those that are left carry over.
    """
    return {
        "model": {"encoder": "light", "branches": 1, "encoder_options": {"blocks": [2, 2, 3, 2]}},
        "optimizer": {"learning_rate": 0.0015, "binary_learning_rate": 0.002},
        "init": entry,
    }


def rival(encoder: str, imagenet: str | None = None, **options: Any) -> Settings:
    """Return a full-precision network with a Lite R-ASPP head, which ends at 1/16."""
    model: Settings = {"encoder": encoder, "decoder": "lraspp", "precision": "float"}
    settings: Settings = {"model": {**model, **({"encoder_options": options} if options else {})}}
    settings["optimizer"] = {"learning_rate": 0.001 if imagenet else 0.002}
    if imagenet:
        settings["encoder_weights"] = imagenet
    return settings


# What ImageNet's weights were trained with, for those that begin with them.
NORMALIZATION = {
    IMAGENET_V2: {"mean": [128.0] * 3, "std": [128.0] * 3},
    IMAGENET_LITE0: {"mean": [127.0] * 3, "std": [128.0] * 3},
}
TASKS = ("ecssd", "cityscapes", "cityscapes19", "camvid")

SHORT: dict[str, Settings] = {
    "ecssd": {"crop": [192, 192], "steps": 500, "steps_per_epoch": 250},
    "cityscapes": {"crop": [192, 256], "steps": 600, "steps_per_epoch": 150},
    "camvid": {"crop": [192, 256], "batch_size": 16, "steps": 400, "steps_per_epoch": 200},
}
TEACHER = "efficientnet_lite0"
"""Trained first, and without a teacher, twice as long for `ecssd`."""


def networks(task: str) -> dict[str, Settings]:
    """Return what each network differs in, by its name."""
    return {
        "compact_s": compact("s"),
        "compact_m": compact("m"),
        "compact_l": large(task),
        "mobilenet_v2_035": rival("mobilenet_v2", alpha=0.35),
        "mobilenet_v2_050": rival("mobilenet_v2", alpha=0.5),
        "mobilenet_v2_100": rival("mobilenet_v2", IMAGENET_V2),
        "mobilenet_v3_small": rival("mobilenet_v3_small"),
        "mobilenet_v3_large": rival("mobilenet_v3_large"),
        "efficientnet_lite0": rival("efficientnet_lite0", IMAGENET_LITE0, output_stride=16),
        "light_slim": slim(task),
    }


def recipes() -> dict[Path, Settings]:
    """Return every recipe by its file."""
    found = {}
    for task in TASKS:
        shared = yaml.safe_load((HERE / f"{task}.yaml").read_text(encoding="utf-8"))
        # Those that another network's weights fit name their own.
        del shared["init"]
        for network, settings in networks(task).items():
            recipe = {**shared, "name": f"{task}_{network}", **settings}
            recipe["input"] = shared["input"] | NORMALIZATION.get(
                settings.get("encoder_weights"), {}
            )
            recipe["optimizer"] = shared["optimizer"] | settings["optimizer"]
            if "binary_learning_rate" not in settings["optimizer"]:
                del recipe["optimizer"]["binary_learning_rate"]
            found[HERE / task / f"{network}.yaml"] = recipe
    return found


def short(folder: Path) -> dict[Path, Settings]:
    """Return the short training of every network by its file in a folder."""
    found = {}
    for path, recipe in recipes().items():
        task, network = path.parent.name, path.stem
        if task not in SHORT:
            continue
        recipe |= SHORT[task]
        recipe["data"].pop("unlabelled", None)
        if task == "camvid":
            recipe["distillation"]["teacher"] = task
            if "init" not in recipe:
                recipe["init"] = str(folder / "cityscapes" / network)
                recipe.pop("encoder_weights", None)
        elif network == TEACHER:
            del recipe["distillation"]
            recipe["steps"] *= 2 if task == "ecssd" else 1
        else:
            recipe["distillation"]["teacher"] = str(folder / task / TEACHER)
        if recipe["model"].get("precision") != "float":
            recipe["recalibrate"] = 320
        found[folder / task / f"{network}.yaml"] = recipe
    return found


def dump(recipe: Settings) -> str:
    """Return a recipe as YAML."""
    return yaml.safe_dump(recipe, sort_keys=False, default_flow_style=None)


def main() -> None:
    """Write all of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--short", type=Path, metavar="FOLDER", help="write short trainings here")
    folder = parser.parse_args().short
    for path, recipe in (short(folder) if folder else recipes()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump(recipe), encoding="utf-8")


if __name__ == "__main__":
    main()
