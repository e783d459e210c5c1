"""The tests of the method's hypotheses on one network."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError
from larq_dense.common.machine import describe_machine, usable_cores
from larq_dense.common.progress import progress
from larq_dense.common.sampling import evenly_spaced
from larq_dense.conversion import to_flatbuffer
from larq_dense.experiments import attention_masks, branch_errors, parallelism
from larq_dense.experiments.diagnosis_plot import plot_diagnosis
from larq_dense.latency.benchmark import LocalCandidate, time_interleaved
from larq_dense.runtime import xnor
from larq_dense.zoo.opening import open_keras

Latency = dict[str, dict[int, float]]
"""Milliseconds by the number of branches, by what ran."""

_LAYER = "layer, 1 thread"


@dataclass(frozen=True)
class Diagnosis:
    """What the checks found.

    Attributes:
        document: JSON-ready figures and verdicts.
        errors: From `branch_errors`.
        masks: From `mask_use`.
        latency: By what ran.
    """

    document: dict[str, Any]
    errors: list[branch_errors.BranchErrors]
    masks: list[attention_masks.MaskUse]
    latency: Latency

    def plot(self, path: Path) -> None:
        """Draw the figures as a PNG."""
        plot_diagnosis(self.errors, self.masks, self.latency, self.document["model"], path)


def diagnose(model: str, data: Path, split: str, limit: int, repeats: int) -> Diagnosis:
    """Check on a network whether its branches, its attention and its parallelism pay.

    Args:
        model: An entry's name or a run's folder.
        data: Folder of a data set.
        split: Its split to look at.
        limit: Pictures, evenly spaced over the split.
        repeats: Timed runs for each number of branches.

    Raises:
        LarqDenseError: The network is not binary, or is int8, or the data are not what they
            should be.
    """
    network, task = open_keras(model)
    check_binary(model)
    samples = evenly_spaced(task.samples(data, split), limit)
    pictures = [network.spec.preprocessing(sample.image) for sample in progress(samples, "reading")]
    errors = branch_errors.branch_errors(network, pictures)
    masks = attention_masks.mask_use(network, pictures)
    latency = _latency(model, repeats)
    document = {
        "model": model,
        "data": str(data),
        "split": split,
        "images": len(pictures),
        "machine": describe_machine(),
        "branch_errors": {
            "verdict": branch_errors.verdict(errors) if errors else None,
            "layers": [asdict(each) | {"independent": each.independent} for each in errors],
        },
        "attention": {
            "verdict": attention_masks.verdict(masks) if masks else None,
            "parts": [asdict(each) for each in masks],
        },
        "parallelism": {
            "verdict": parallelism.verdict(latency[_LAYER]),
            "repeats": repeats,
            "milliseconds": latency,
            "relative_cost": {
                name: parallelism.relative_cost(times) for name, times in latency.items()
            },
        },
    }
    return Diagnosis(document, errors, masks, latency)


def check_binary(model: str) -> None:
    """Refuse what the checks do not apply to.

    Raises:
        LarqDenseError: The network is not binary, or is int8.
    """
    recipe = zoo.find(model).recipe()
    if recipe.quantize:
        raise LarqDenseError(f"{model} is an int8 network; name the run of its float network.")
    if recipe.precision != "binary":
        raise LarqDenseError(
            f"{model} is not binary (model.precision is {recipe.precision}); name a binary run."
        )


def _latency(model: str, repeats: int) -> Latency:
    """Time the network and one of its layers with 1, 2, 3 and 5 branches, and by threads.

    Raises:
        LarqDenseError: The XNOR runtime was not built here.
    """
    entry = zoo.find(model)
    recipe, task = entry.recipe(), entry.task()
    height, width = recipe.input.height, recipe.input.width
    filters = recipe.model.get("decoder_filters", 64)
    networks, layers = {}, {}
    for branches in progress(parallelism.BRANCHES, "converting"):
        varied = recipe.model_copy(update={"model": {**recipe.model, "branches": branches}})
        networks[branches] = to_flatbuffer(varied.build_model(task=task), (1, height, width, 3))
        # As at the decoder's last stage, where most of its work is.
        size = (height // 4, width // 4, filters)
        layers[branches] = to_flatbuffer(parallelism.parallel_layer(branches, *size), (1, *size))
    threads = sorted({1, usable_cores()})
    latency = {}
    for count in threads:
        suffix = "1 thread" if count == 1 else f"{count} threads"
        latency[f"layer, {suffix}"] = _time(layers, count, repeats)
        latency[f"network, {suffix}"] = _time(networks, count, repeats)
    return latency


def _time(files: dict[int, bytes], threads: int, repeats: int) -> dict[int, float]:
    # A layer alone is no network from a picture to logits, which `runtime.load` would ask for.
    loaded = {branches: xnor.load(file, threads) for branches, file in files.items()}
    entrants = [
        LocalCandidate(str(branches), "binary", threads, None, each.run)
        for branches, each in loaded.items()
    ]
    shape = next(iter(loaded.values())).input_shape
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    timings = time_interleaved(entrants, inputs, repeats)
    return {branches: each.median for branches, each in zip(files, timings, strict=True)}
