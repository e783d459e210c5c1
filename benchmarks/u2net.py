"""Time the small U²-Net, the saliency network that rembg offers, next to the entry ecssd.

    pip install tf2onnx 'onnx<1.17' onnxruntime
    python benchmarks/u2net.py --repeats 30

U²-Net† (arXiv 2005.09007; U2NETP in its authors' code) is built here from the paper with random
weights: they change no time. It takes 320x320 pixels. It runs in ONNX Runtime in float32, as in
rembg, and in TensorFlow Lite with XNNPACK in float32 and, by post-training quantization, in int8.
`ecssd` runs in its all-integer form at its own 256x256 and at 320x320. All take turns on one
thread, and a time is that thread's own, so that other work on the machine adds little to it.
"""

from __future__ import annotations

import argparse
import os
import statistics
from typing import Any

import numpy as np

from larq_dense import zoo
from larq_dense.common.keras2 import tf
from larq_dense.conversion import convert
from larq_dense.conversion.baseline import float_tflite, int8_tflite
from larq_dense.evaluation import complexity
from larq_dense.latency.benchmark import LocalCandidate, candidates, time_interleaved

SIDE = 320
MIDDLE, CHANNELS = 16, 64
DEPTHS = (7, 6, 5, 4)
"""Layers of the U in each of the stages 1 to 4; those of the stages 5 and 6 are dilated."""

keras = tf.keras


def conv(x: Any, filters: int, dilation: int = 1) -> Any:
    """Apply a 3x3 convolution, batch normalization and ReLU."""
    x = keras.layers.Conv2D(filters, 3, padding="same", dilation_rate=dilation)(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(x))


def enlarged(x: Any, factor: int) -> Any:
    """Resize bilinearly."""
    return keras.layers.UpSampling2D(factor, interpolation="bilinear")(x)


def joined(*maps: Any) -> Any:
    """Concatenate channels."""
    return keras.layers.Concatenate()(maps)


def u_block(x: Any, depth: int) -> Any:
    """Apply a residual U-block: a U-Net of `depth` layers, added to its own input."""
    x = conv(x, CHANNELS)
    levels = [conv(x, MIDDLE)]
    for _ in range(depth - 2):
        levels.append(conv(keras.layers.MaxPool2D()(levels[-1]), MIDDLE))
    y = conv(levels[-1], MIDDLE, dilation=2)
    for level in levels[:0:-1]:
        y = enlarged(conv(joined(y, level), MIDDLE), 2)
    return keras.layers.Add()([conv(joined(y, levels[0]), CHANNELS), x])


def dilated_block(x: Any) -> Any:
    """Apply a residual U-block that dilates instead of pooling."""
    x = conv(x, CHANNELS)
    levels = [conv(x, MIDDLE)]
    for dilation in (2, 4):
        levels.append(conv(levels[-1], MIDDLE, dilation))
    y = conv(levels[-1], MIDDLE, dilation=8)
    y = conv(joined(y, levels[2]), MIDDLE, dilation=4)
    y = conv(joined(y, levels[1]), MIDDLE, dilation=2)
    return keras.layers.Add()([conv(joined(y, levels[0]), CHANNELS), x])


def u2net_small(side: int = SIDE) -> Any:
    """Return U²-Net† as a Keras model: pictures to the fused map, its first output."""
    inputs = x = keras.Input((side, side, 3))
    stages = []
    for depth in DEPTHS:
        stages.append(u_block(x, depth))
        x = keras.layers.MaxPool2D()(stages[-1])
    stages.append(dilated_block(x))
    y = dilated_block(keras.layers.MaxPool2D()(stages[-1]))
    decoded = [y]
    for stage, depth in zip(stages[::-1], (None, *DEPTHS[::-1]), strict=True):
        y = joined(enlarged(y, 2), stage)
        y = dilated_block(y) if depth is None else u_block(y, depth)
        decoded.append(y)
    sides = []
    for level, each in enumerate(decoded[::-1]):
        side_map = keras.layers.Conv2D(1, 3, padding="same")(each)
        sides.append(enlarged(side_map, 2**level) if level else side_map)
    fused = keras.layers.Conv2D(1, 1, activation="sigmoid")(joined(*sides))
    return keras.Model(inputs, fused, name="u2net_small")


def onnx_runtime(model: Any) -> LocalCandidate:
    """Return the model in ONNX Runtime on one thread, with channels first as in rembg's file."""
    import onnxruntime
    import tf2onnx

    shape = (1, *model.input_shape[1:])
    serve = tf.function(lambda image: model(image, training=False), autograph=False)
    proto, _ = tf2onnx.convert.from_function(
        serve,
        [tf.TensorSpec(shape, tf.float32, name="image")],
        opset=17,
        inputs_as_nchw=["image"],
    )
    content = proto.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(content, options, providers=providers)
    picture = np.zeros((1, 3, *shape[1:3]), np.float32)
    name = f"ONNX Runtime {onnxruntime.__version__}"
    return LocalCandidate(
        name, "float32", 1, len(content), lambda _: session.run(None, {"image": picture})
    )


def main() -> None:
    """Print a table, and what the two networks compute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    model = u2net_small()
    random = np.random.default_rng(0)
    pictures = [random.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32) for _ in range(2)]
    quantized = int8_tflite(model, pictures, whole=True)
    rivals = [
        onnx_runtime(model),
        *candidates([1], float_file=float_tflite(model), int8_file=quantized),
    ]
    entrants = [(f"U²-Net†, {SIDE}x{SIDE}", each) for each in rivals]
    for side in (256, SIDE):
        entry = zoo.load("ecssd", precision="int8", input_shape=(side, side, 3))
        (ours,) = candidates([1], quantized_file=convert(entry).content)
        entrants.append((f"ecssd, {side}x{side}", ours))
    timings = time_interleaved([each for _, each in entrants], pictures[0], repeats)
    for name, counted in (("U²-Net†", model), ("ecssd", entry)):
        cost = complexity(counted).totals()
        print(
            f"{name} at {SIDE}x{SIDE}: {cost['binary_macs'] / 1e9:.2f} G binary MACs, "
            f"{cost['float_macs'] / 1e9:.2f} G others, {cost['parameters'] / 1e6:.2f} M parameters"
        )
    print(f"load {os.getloadavg()[0]:.1f}, {repeats} turns, milliseconds of the thread")
    for (network, _), timing in zip(entrants, timings, strict=True):
        taken, size = timing.milliseconds, timing.candidate.size or 0
        print(
            f"{network:18}{timing.candidate.engine:22}{size / 1e6:6.1f} MB"
            f"{min(taken):9.1f} least{statistics.median(taken):9.1f} median"
        )


if __name__ == "__main__":
    main()
