"""The all-integer (int8) variants compared with their entries: in a card and in the README."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from larq_dense.common.markdown import METRIC_TITLES, format_metric, markdown_table, vectors
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import data_set, split_title


class _Pair(NamedTuple):
    """One figure of the form with float32 between the binary layers, and of the all-integer one."""

    between: Any
    int8: Any


class _Figures:
    """What was measured of an entry and of its variant."""

    def __init__(self, entry: Entry) -> None:
        metrics, self.variant = entry.metrics(), entry.int8().metrics()
        self.main = entry.task().main_metric
        self.accuracy = [
            _Pair(*rows) for rows in zip(metrics["accuracy"], self.variant["accuracy"], strict=True)
        ]
        self.size = _Pair(metrics["conversion"]["bytes"], self.variant["conversion"]["bytes"])
        memory = self.variant["memory"]
        self.memory = _Pair(memory["default"], memory["int8"])
        taken = self.variant["latency"]["milliseconds"]
        self.milliseconds = _Pair(taken["XNOR runtime"], taken["XNOR runtime, int8"])
        self.baseline = taken["TFLite int8"]


def int8_section(entry: Entry) -> str:
    """Return a card's section on the entry's variant."""
    figures = _Figures(entry)
    variant = figures.variant
    agreement = variant["conversion"]["parity"]
    commands = [
        f"larq-dense convert {entry.name} --int8 --output {entry.name}_int8.tflite",
        *(row["command"] for row in variant["accuracy"]),
        variant["latency"]["command"],
    ]
    paragraphs = [
        f'`zoo.load("{entry.name}", precision="int8")` computes the layers that are not binary in '
        "int8. Its file, which `larq_dense.load` and `larq-dense predict` run, has no float "
        "tensor, input and output included. Trained by `larq-dense train "
        f"{_trained(entry)} --data ../shared/data --run runs/{entry.name}_int8`.",
        _table(figures),
        f"XNOR runtime, one thread of {variant['machine']['cpu']}, {vectors(variant['machine'])}; "
        f"the full-precision baseline in int8 took {figures.baseline:.1f} ms in the same run. The "
        f"file against the int8 Keras model, on {agreement['images']} validation pictures: the "
        f"same label at {100 * agreement['same_labels']:.3f} % of the pixels, logits at most "
        f"{_steps(agreement['max_steps'])} apart. Measured by",
        "\n".join(["```", *commands, "```"]),
    ]
    return "\n\n".join(paragraphs)


def _trained(entry: Entry) -> str:
    """Return what `larq-dense train` is told to train the variant again."""
    recipe = entry.int8().recipe()
    if recipe.steps:
        return f"zoo/{entry.name}/int8/recipe.yaml"
    return f"{entry.name} --quantize" + (f" --epochs {recipe.epochs}" if recipe.epochs else "")


def _steps(count: int) -> str:
    return f"{count} quantization step{'s' * (count != 1)}"


def _table(figures: _Figures) -> str:
    between, int8 = zip(*figures.accuracy, strict=True)
    body = paired_rows(figures.main, between, int8)
    body += [
        ["bytes of the file", *(f"{size:,}" for size in figures.size)],
        ["peak tensor memory, bytes", *(f"{size:,}" for size in figures.memory)],
        ["ms a picture", *(f"{taken:.1f}" for taken in figures.milliseconds)],
    ]
    return markdown_table(["", "float between", "all-integer"], body)


def paired_rows(metric: str, *measured: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each source: what is measured where, and the figure of each network."""
    return [
        [
            f"{METRIC_TITLES[metric]} on {data_set(rows[0]['data']).title} "
            f"({split_title(rows[0]['split'], rows[0]['within'])})",
            *(format_metric(metric, row["metrics"][metric]) for row in rows),
        ]
        for rows in zip(*measured, strict=True)
    ]
