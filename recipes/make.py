"""Write a recipe for every network on every task, by the task's own recipe next to this file.

    python recipes/make.py

A network is compared with another on what it reaches by the same pictures, crops, augmentation,
loss, teacher and number of steps. So all that differs from file to file is the network, what it
begins with, and the learning rates: those that begin with trained weights take lower ones.
"""

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


def networks(task: str) -> dict[str, Settings]:
    """Return what each network differs in, by its name."""
    return {
        **{f"compact_{size}": compact(size) for size in "sml"},
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
        # Another network's weights would fit none of these but the slim one, which names its own.
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


def dump(recipe: Settings) -> str:
    """Return a recipe as YAML."""
    return yaml.safe_dump(recipe, sort_keys=False, default_flow_style=None)


def main() -> None:
    """Write all of them."""
    for path, recipe in recipes().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(dump(recipe), encoding="utf-8")


if __name__ == "__main__":
    main()
