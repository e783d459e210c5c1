"""What is measured of an ablation's variants besides accuracy: complexity, latency, attention."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from larq_dense.common.progress import progress

if TYPE_CHECKING:
    from larq_dense.latency.benchmark import LocalCandidate, Timing
    from larq_dense.tasks import Task
    from larq_dense.training import Recipe

_REPEATS = 20


def measure_cost(recipes: "Mapping[str, Recipe]", task: "Task") -> dict[str, dict[str, Any]]:
    """Count and time each variant's network, with random weights, on one thread.

    Args:
        recipes: Each variant's recipe; all have one input size.
        task: Their task.

    Returns:
        `complexity` and `latency` by variant.

    Raises:
        ConversionError: A layer of a binary network would not be binary in its file.
    """
    import numpy as np

    from larq_dense.evaluation import complexity

    counts, entrants = [], []
    for variant, recipe in progress(recipes.items(), "converting", len(recipes)):
        model = recipe.build_model(task=task)
        counts.append(complexity(model).totals())
        entrants.append(_network(variant, model, recipe, task))
    picture = np.zeros((1, *model.input_shape[1:]), np.float32)
    latencies = map(_latency, _time(entrants, picture))
    return {
        variant: {"complexity": count, "latency": latency}
        for variant, count, latency in zip(recipes, counts, latencies, strict=True)
    }


def measure_attention(recipe: "Recipe") -> dict[str, Any]:
    """Count and time the attention of the decoder's last stage.

    Its time is what the stage takes more with it than without, turn by turn.

    Args:
        recipe: Gives the input's size and the decoder's width.

    Returns:
        `input` of the stage, `branches`, and by kind of attention the figures of
        `attention_complexity`, `engine`, `stage_ms` and `attention_ms`.
    """
    import numpy as np

    from larq_dense.experiments.attention_cost import (
        BRANCHES,
        STAGES,
        added_milliseconds,
        attention_complexity,
        stage,
    )

    filters = recipe.model.get("decoder_filters", 64)
    size = (recipe.input.height // 4, recipe.input.width // 4, filters)
    entrants, counts = [], []
    for precision, per_branch in progress(STAGES.values(), "converting"):
        pair = [stage(*size, precision, per_branch, parts) for parts in ("both", "none")]
        counts.append(attention_complexity(pair[0]))
        entrants += [_stage(model) for model in pair]
    inputs = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
    timings = _time(entrants, inputs)
    found: dict[str, Any] = {"branches": BRANCHES, "input": list(size), "kinds": {}}
    for name, count, with_it, without in zip(
        STAGES, counts, timings[::2], timings[1::2], strict=True
    ):
        added = added_milliseconds(with_it.milliseconds, without.milliseconds)
        latency = {"engine": with_it.candidate.engine, "stage_ms": with_it.median}
        found["kinds"][name] = {**count, **latency, "attention_ms": added}
    return found


def _network(variant: str, model: Any, recipe: "Recipe", task: "Task") -> "LocalCandidate":
    from larq_dense import runtime
    from larq_dense.conversion import convert
    from larq_dense.models import binary_layers
    from larq_dense.runtime import ModelSpec

    if not binary_layers(model):
        return _float_candidate(model)
    content = convert(model, ModelSpec.for_task(variant, task, recipe.preprocessing)).content
    return _binary_candidate(content, runtime.load(content).run)


def _stage(model: Any) -> "LocalCandidate":
    from larq_dense.conversion import to_flatbuffer
    from larq_dense.models import binary_layers
    from larq_dense.runtime import xnor

    if not binary_layers(model):
        return _float_candidate(model)
    content = to_flatbuffer(model, (1, *model.input_shape[1:]))
    # A stage alone is no network from a picture to logits, which `runtime.load` would ask for.
    return _binary_candidate(content, xnor.load(content).run)


def _binary_candidate(content: bytes, run: Any) -> "LocalCandidate":
    from larq_dense.latency.benchmark import LocalCandidate
    from larq_dense.runtime import xnor

    engine = "XNOR runtime" if xnor.available() else "LCE"
    return LocalCandidate(engine, "binary", 1, len(content), run)


def _float_candidate(model: Any) -> "LocalCandidate":
    from larq_dense.conversion.baseline import float_tflite
    from larq_dense.latency.benchmark import candidates

    (found,) = candidates([1], float_file=float_tflite(model))
    return found


def _time(entrants: "list[LocalCandidate]", inputs: Any) -> "list[Timing]":
    from larq_dense.latency.benchmark import time_interleaved

    return time_interleaved(entrants, inputs, _REPEATS, partial(progress, text="timing"))


def _latency(timing: "Timing") -> dict[str, Any]:
    low, high = timing.percentiles
    return {
        "engine": timing.candidate.engine,
        "threads": timing.candidate.threads,
        "repeats": _REPEATS,
        "median_ms": timing.median,
        "p10_ms": low,
        "p90_ms": high,
    }
