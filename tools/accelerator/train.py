"""Train stages that `export.py` wrote, one after the other, with JAX, NumPy and Pillow alone.

    python train.py PACK RESULTS STAGE ...

While one stage trains the next ones are compiled. RESULTS/STAGE.npz is written as each one ends.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Several processes may share a device.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np
from PIL import Image

# Optimizers count their steps in int64.
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
from jax._src.interpreters import mlir  # noqa: E402
from jax._src.lib import xla_client  # noqa: E402
from jaxlib.mlir import ir  # noqa: E402

Spec = dict[str, Any]
Values = dict[str, np.ndarray]

BATCH = 2
"""Arguments of a program before its state: pictures and labels."""
EVERY = 25
"""Programs between two lines of the log."""
SMALL = 4096
"""Full-precision kernels of more values than this travel in 16 bits."""


def read_program(path: Path) -> bytes:
    """Return a program as StableHLO.

    TensorFlow's programs hold copies, which are no operation of StableHLO's and do nothing here.
    """
    context = mlir.make_ir_context()
    context.allow_unregistered_dialects = True
    with context:
        program = lzma.decompress(path.read_bytes())
        module = ir.Module.parse(xla_client._xla.mlir.hlo_to_stablehlo(program))
        copies: list[Any] = []

        def note(operation: Any) -> Any:
            if operation.name == "mhlo.copy":
                copies.append(operation)
            return ir.WalkResult.ADVANCE

        module.operation.walk(note)
        for copy in copies:
            copy.results[0].replace_all_uses_with(copy.operands[0])
            copy.operation.erase()
        return bytes(mlir.module_to_bytecode(module))


def compile_program(path: Path) -> Any:
    """Compile a program for the first device."""
    began, device = time.time(), jax.devices()[0]
    devices = xla_client.DeviceList((device,))
    options = xla_client.CompileOptions()
    program = device.client.compile_and_load(read_program(path), devices, options)
    print(f"{path.parent.name}: compiled in {time.time() - began:.0f} s", flush=True)
    return program


class Pictures:
    """All pictures and masks on the device, each in the corner of a common size."""

    def __init__(self, path: Path) -> None:
        """Decode what `export.py` packed."""
        with np.load(path) as archive:
            packed = dict(archive)
        with ThreadPoolExecutor() as pool:
            images = list(pool.map(_decoded, _files(packed, "images")))
            labels = list(pool.map(_decoded, _files(packed, "labels")))
        self.rows = {k.split("/", 1)[1]: v for k, v in packed.items() if k.startswith("rows/")}
        self.sizes = jax.device_put(np.array([each.shape[:2] for each in images], np.float32))
        self.images, self.labels = (jax.device_put(_joined(each)) for each in (images, labels))


def _files(packed: Mapping[str, np.ndarray], name: str) -> list[bytes]:
    sizes = packed[f"{name}/sizes"]
    ends = np.cumsum(sizes)
    return [packed[name][e - n : e].tobytes() for e, n in zip(ends, sizes, strict=True)]


def _decoded(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    height, width = (max(each.shape[side] for each in arrays) for side in (0, 1))
    joined = np.zeros((len(arrays), height, width, *arrays[0].shape[2:]), np.uint8)
    for place, each in zip(joined, arrays, strict=True):
        place[: each.shape[0], : each.shape[1]] = each
    return joined


def make_augment(spec: Spec) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Return the product's augmentation, on the device, for many crops at once.

    See `larq_dense.training.augmentation` for what each draw does. Crops are cut by two products
    with matrices of interpolation weights.
    """
    settings, (rows, columns) = spec["augmentation"], spec["crop"]
    base = spec["input"]
    mean, std = (np.array(base[key], np.float32) for key in ("mean", "std"))

    def within(bounds: tuple[float, float], draw: jax.Array) -> jax.Array:
        low, high = np.log(bounds)
        return jnp.exp(low + (high - low) * draw)

    def positions(start: jax.Array, share: jax.Array, count: int, size: jax.Array) -> jax.Array:
        step = share * (size - 1) / (count - 1)
        return start * (size - 1) + step * jnp.arange(count)

    def weights(at: jax.Array, size: jax.Array, total: int) -> tuple[jax.Array, jax.Array]:
        inside = (at >= 0) & (at <= size - 1)
        near = jnp.maximum(0, 1 - jnp.abs(at[:, None] - jnp.arange(total)))
        return (near * inside[:, None]).astype(jnp.float32), inside

    def crop(image: jax.Array, label: jax.Array, size: jax.Array, draws: jax.Array) -> Any:
        zoom = within(settings["scale"], draws[0])
        stretch = jnp.sqrt(within(settings["aspect"], draws[1]))
        height = rows / (zoom * base["height"]) * stretch
        width = columns / (zoom * base["width"]) / stretch
        y = positions((1 - height) * draws[2], height, rows, size[0])
        x = positions((1 - width) * draws[3], width, columns, size[1])
        if settings["flip"]:
            x = jnp.where(draws[4] < 0.5, x[::-1], x)
        down, inside_y = weights(y, size[0], image.shape[0])
        along, inside_x = weights(x, size[1], image.shape[1])
        pixels = jnp.einsum("yh,hwc->ywc", down, image.astype(jnp.float32))
        pixels = jnp.einsum("xw,ywc->yxc", along, pixels)
        nearest = [jnp.round(each).astype(jnp.int32) for each in (y, x)]
        seen = inside_y[:, None] & inside_x[None]
        label = label.at[nearest[0][:, None], nearest[1][None]].get(mode="clip")
        return photo(pixels, draws), jnp.where(seen, label, spec["beyond"]).astype(jnp.uint8)

    def photo(pixels: jax.Array, draws: jax.Array) -> jax.Array:
        shift = (2 * draws[5] - 1) * 255 * settings["brightness"]
        pixels = jnp.clip(pixels + shift, 0, 255)
        gray = jnp.mean(pixels @ jnp.array([0.2989, 0.5870, 0.1140], jnp.float32))
        factor = 1 + (2 * draws[6] - 1) * settings["contrast"]
        pixels = jnp.clip((pixels - gray) * factor + gray, 0, 255)
        return ((pixels - mean) / std).astype(jnp.float32)

    @jax.jit
    def augment(
        images: jax.Array, labels: jax.Array, sizes: jax.Array, chosen: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        each = chosen.reshape(-1, 2)
        draws = jax.random.uniform(key, (len(each), 7), jnp.float32)
        x, y = jax.vmap(crop)(images[each[:, 0]], labels[each[:, 1]], sizes[each[:, 0]], draws)
        return (
            x.reshape(*chosen.shape[:2], *x.shape[1:]),
            y.reshape(*chosen.shape[:2], *y.shape[1:]),
        )

    return augment


def shuffled(rows: np.ndarray, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield `count` rows at a time, pass after pass in a new order."""
    rng, left = np.random.default_rng(seed), rows[:0]
    while True:
        while len(left) < count:
            left = np.concatenate([left, rng.permutation(rows)])
        yield left[:count]
        left = left[count:]


class Stage:
    """One training."""

    def __init__(self, pack: Path, name: str, trained: Mapping[str, Values]) -> None:
        """Set up the program's state.

        Args:
            pack: What `export.py` wrote.
            name: The stage's.
            trained: What stages before it ended with.
        """
        self.name, self.spec = name, json.loads((pack / name / "stage.json").read_text())
        with np.load(pack / name / "begin.npz") as archive:
            self._begin = dict(archive)
        self._rng = np.random.default_rng(self.spec["seed"])
        spec, before = self.spec, trained.get(self.spec["init"], {})
        teacher = trained[spec["teacher"]] if spec["teacher"] else {}
        model = {
            label: self._value(label, tuple(shape), before)
            for label, shape in zip(spec["state"], spec["shapes"], strict=True)
            if label.startswith("model:")
        }
        values = {f"teacher:{name}": value for name, value in teacher.items()}
        values |= self._begin | model
        values |= {label.replace("model:", "average:"): value for label, value in model.items()}
        self.state = [
            jax.device_put(np.asarray(values.get(label, np.zeros(shape))).astype(dtype))
            for label, shape, dtype in zip(
                spec["state"], spec["shapes"], spec["dtypes"], strict=True
            )
        ]

    def _value(self, label: str, shape: tuple[int, ...], before: Values) -> np.ndarray:
        """Return a weight to begin with: of the stage before, given, or drawn."""
        found = before.get(label.split(":", 1)[1])
        if found is not None and found.shape == shape:
            return found
        if label in self._begin:
            return self._begin[label]
        return np.clip(self._rng.standard_normal(shape), -2, 2) * self.spec["drawn"][label]

    def train(self, program: Any, pictures: Pictures) -> list[tuple[float, ...]]:
        """Take all steps; returns rows of steps, loss and seconds."""
        spec, count = self.spec, self.spec["steps_per_program"]
        augment, key = make_augment(spec), jax.random.key(spec["seed"])
        calls = -(-spec["steps"] // count)
        size = (count, spec["batch_size"], 2)
        orders = shuffled(pictures.rows[self.name], count * spec["batch_size"], spec["seed"])
        began = time.time()
        log: list[tuple[float, ...]] = []
        for call in range(1, calls + 1):
            chosen = next(orders).reshape(size)
            key, draws = jax.random.split(key)
            batch = augment(pictures.images, pictures.labels, pictures.sizes, chosen, draws)
            outputs = program.execute_sharded([*batch, *self.state])
            results = outputs.disassemble_into_single_device_arrays()
            for output, argument in spec["kept"]:
                self.state[argument - BATCH] = results[output][0]
            # Waiting for every loss would leave the device idle.
            if call % EVERY == 0 or call == calls:
                steps, seconds = call * count, time.time() - began
                log.append((steps, self._checked(results[0][0], steps), seconds))
                speed = steps * spec["batch_size"] / seconds
                print(f"{self.name}: {steps} steps, loss {log[-1][1]:.4f}, {speed:.0f} crops/s")
        return log

    def _checked(self, loss: jax.Array, steps: int) -> float:
        value = float(np.asarray(loss))
        if not math.isfinite(value):
            raise SystemExit(f"{self.name}: the loss is {value} after {steps} steps")
        return value

    def values(self) -> Values:
        """Return the model's variables, averages where they are kept."""
        found: Values = {}
        for kind in ("model:", "average:"):
            for label, value in zip(self.spec["state"], self.state, strict=True):
                if label.startswith(kind):
                    found[label.removeprefix(kind)] = np.asarray(value)
        return found


def save(path: Path, spec: Spec, values: Values, log: list[tuple[float, ...]]) -> None:
    """Write a trained model small: signs of binary kernels, large kernels in 16 bits."""
    small: Values = {"#log": np.array(log)}
    for name, value in values.items():
        if name in spec["latent"]:
            small[f"signs:{name}"] = np.packbits(value.ravel() < 0)
        else:
            small[name] = value.astype(np.float16) if value.size > SMALL else value
    np.savez(path.with_suffix(".part.npz"), **small)
    path.with_suffix(".part.npz").rename(path)


def main() -> None:
    """Train every stage that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("stages", nargs="+")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        programs = [
            pool.submit(compile_program, given.pack / name / "program.hlo.xz")
            for name in given.stages
        ]
        pictures = Pictures(given.pack / "pictures.npz")
        trained: dict[str, Any] = {}
        for name, program in zip(given.stages, programs, strict=True):
            stage = Stage(given.pack, name, trained)
            log = stage.train(program.result(), pictures)
            trained[name] = stage.values()
            save(given.results / f"{name}.npz", stage.spec, trained[name], log)


if __name__ == "__main__":
    main()
