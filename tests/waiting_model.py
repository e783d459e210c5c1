"""A network that waits until it is told to go on, and pictures for it."""

import io
import threading

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from larq_dense.common.images import Preprocessing
from larq_dense.runtime import ModelSpec, SpecClass

HEIGHT, WIDTH = 8, 12


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def random_picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


class Waiting:
    """An interpreter that gives the same logits always, once `go` is set."""

    input_shape = (1, HEIGHT, WIDTH, 3)
    output_shape = (1, 4, 6, 3)

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.runs = 0

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self.runs += 1
        self.begun.release()
        assert self.go.wait(30)
        return np.random.default_rng(1).normal(0, 3, self.output_shape).astype(np.float32)


def small_spec() -> ModelSpec:
    classes = (("sky", (0, 0, 0)), ("<b>road</b>", (128, 64, 128)), ("tree", (0, 128, 0)))
    return ModelSpec(
        name="small",
        task="hand-made",
        kind="segmentation",
        classes=tuple(SpecClass(*each) for each in classes),
        preprocessing=Preprocessing(HEIGHT, WIDTH),
        description="random <weights>.",
    )
