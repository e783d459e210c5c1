"""A zoo of one tiny entry, published with invented figures: no conversion, so it is quick."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from larq_dense import zoo
from larq_dense.zoo import Entry, entries

COMPLEXITY = {
    "input_shape": [64, 64, 3],
    "binary_macs": 123_600_000,
    "float_macs": 4_800_000,
    "ops": 6_731_250.0,
    "parameters": 1_000_000,
    "stored_bytes": 150_000,
}
METRICS: dict[str, Any] = {
    "machine": {"cpu": "Abacus 2000", "instruction_sets": ["avx", "avx2"]},
    "accuracy": [
        {
            "data": "people",
            "split": "val",
            "within": None,
            "metrics": {"maxf": 0.8765, "mae": 0.0432},
            "per_class": {"background": {"iou": 0.9}, "object": {"iou": None}},
            "images": 29,
            "command": "larq-dense evaluate tiny --data people --split val",
        },
        {
            "data": "objects",
            "split": "val",
            "within": "salient_like",
            "metrics": {"maxf": 0.7654, "mae": 0.0987},
            "per_class": {"background": {"iou": 0.8}, "object": {"iou": 0.7}},
            "images": 192,
            "command": "larq-dense evaluate tiny --data objects --split val --within salient_like",
        },
    ],
    "complexity": {
        "binary": COMPLEXITY,
        "float": {**COMPLEXITY, "binary_macs": 0, "float_macs": 128_400_000, "ops": 128_400_000.0},
        "command": "count-it",
    },
    "conversion": {
        "bytes": 123_456,
        "binary_layers": 12,
        "operators": {"LceBconv2d": 12},
        "parity": {
            "same_labels": 0.99987,
            "max_logit_difference": 0.0123,
            "max_logit": 17.0,
            "images": 10,
        },
        "command": "larq-dense convert tiny --output tiny.tflite",
    },
    "latency": {
        "threads": 1,
        "rows": [
            {"engine": "LCE default", "milliseconds": 26.1},
            {"engine": "LCE indirect", "milliseconds": 2.34},
            {"engine": "TFLite float32", "milliseconds": 11.56},
        ],
        "command": "larq-dense benchmark tiny",
    },
}


def take(published: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Copy a zoo's folder, make the copy the zoo, and return its entry `tiny`."""
    shutil.copytree(published, folder)
    monkeypatch.setattr(entries, "ROOT", folder)
    return zoo.find("tiny")
