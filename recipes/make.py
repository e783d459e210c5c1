"""Write the recipes in this folder: every network on every task, by the same data and length.

    python recipes/make.py

A network is compared with another on what it reaches by the same pictures, crops, augmentation,
loss and number of steps. So all that differs from file to file is the network, what its encoder
begins with, and the learning rates: binary networks take higher ones than those that begin with
ImageNet weights.
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
NETWORKS = {
    **{f"compact_{size}": compact(size) for size in "sml"},
    "mobilenet_v2_035": rival("mobilenet_v2", alpha=0.35),
    "mobilenet_v2_050": rival("mobilenet_v2", alpha=0.5),
    "mobilenet_v2_100": rival("mobilenet_v2", IMAGENET_V2),
    "mobilenet_v3_small": rival("mobilenet_v3_small"),
    "mobilenet_v3_large": rival("mobilenet_v3_large"),
    "efficientnet_lite0": rival("efficientnet_lite0", IMAGENET_LITE0, output_stride=16),
}


def source(folder: str, split: str, labels: str | None) -> Settings:
    """Return one data set's split."""
    return {"folder": folder, "split": split, **({"labels": labels} if labels else {})}


def data(folder: str, labels: str | None, limit: int) -> Settings:
    """Return training and validation on one data set."""
    return {
        "train": [source(folder, "train", labels)],
        "validation": [source(folder, "val", labels)],
        "validation_limit": limit,
    }


TASKS: dict[str, Settings] = {
    "ecssd": {
        "input": {"height": 256, "width": 256},
        "data": data("duts", "binary", 185),
        "crop": [192, 192],
        "batch_size": 16,
        "epochs": 45,
        "augmentation": {"scale": [0.7, 1.15], "aspect": [0.8, 1.25], "contrast": 0.3},
    },
    "cityscapes": {
        "input": {"height": 256, "width": 256},
        "data": data("cityscapes256", "cityscapes_train_ids", 125),
        "crop": [256, 256],
        "batch_size": 16,
        "epochs": 160,
        "augmentation": {"scale": [0.8, 1.5], "aspect": [0.8, 1.25], "contrast": 0.25},
        "loss": {"class_weights": "none", "dice": 0.5},
    },
    "camvid": {
        "input": {"height": 352, "width": 480},
        "data": data("camvid", None, 51),
        "crop": [288, 384],
        "batch_size": 12,
        "epochs": 170,
        "augmentation": {"scale": [0.7, 1.5], "brightness": 0.2, "contrast": 0.3},
        "loss": {"weight_cap": 3.0, "dice": 0.5},
        "class_offsets": 200,
    },
}


def recipes() -> dict[Path, Settings]:
    """Return every recipe by its file."""
    found = {}
    for task, shared in TASKS.items():
        for network, settings in NETWORKS.items():
            recipe = {"name": f"{task}_{network}", "task": task, **shared, **settings}
            normalization = NORMALIZATION.get(settings.get("encoder_weights"), {})
            recipe["input"] = {**shared["input"], **normalization}
            recipe |= {"validate_every": 5, "bfloat16": True}
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
