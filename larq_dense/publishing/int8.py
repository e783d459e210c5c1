"""The int8 variants beside the entries that they come from: in a card and in the README."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from larq_dense.common.markdown import METRIC_TITLES, format_metric, markdown_table, vectors
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.provenance import data_set, split_title


class _Pair(NamedTuple):
    """One figure with float between the binary layers, and in int8."""

    glue: Any
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
        self.memory = _Pair(memory["float glue"], memory["int8"])
        taken = self.variant["latency"]["milliseconds"]
        self.milliseconds = _Pair(taken["XNOR runtime"], taken["XNOR runtime, int8"])
        self.baseline = taken["TFLite int8"]

    def metric(self, rows: _Pair) -> _Pair:
        """Return the main metric of two rows as text."""
        return _Pair(*(format_metric(self.main, row["metrics"][self.main]) for row in rows))


def int8_section(entry: Entry) -> str:
    """Return a card's section on the entry's variant."""
    figures = _Figures(entry)
    variant = figures.variant
    agreement = variant["conversion"]["parity"]
    epochs = entry.int8().recipe().epochs
    length = f" --epochs {epochs}" if epochs else ""
    commands = [
        f"larq-dense convert {entry.name} --int8 --output {entry.name}_int8.tflite",
        *(row["command"] for row in variant["accuracy"]),
        variant["latency"]["command"],
    ]
    paragraphs = [
        f'`zoo.load("{entry.name}", precision="int8")` computes in int8 what is not binary; its '
        "file holds no float tensor, input and output included. Trained by `larq-dense train "
        f"{entry.name} --quantize{length} --data ../shared/data --run runs/{entry.name}_int8`.",
        _table(figures),
        f"XNOR runtime, one thread of {variant['machine']['cpu']}, {vectors(variant['machine'])}; "
        f"the full-precision baseline in int8 took {figures.baseline:.1f} ms in the same run. The "
        f"file against the int8 Keras model, on {agreement['images']} validation pictures: the "
        f"same label at {100 * agreement['same_labels']:.3f} % of the pixels, logits at most "
        f"{_steps(agreement['max_steps'])} apart. Measured by",
        "\n".join(["```", *commands, "```"]),
    ]
    return "\n\n".join(paragraphs)


def _steps(count: int) -> str:
    return f"{count} quantization step{'s' * (count != 1)}"


def _table(figures: _Figures) -> str:
    glue, int8 = zip(*figures.accuracy, strict=True)
    body = paired_rows(figures.main, glue, int8)
    body += [
        ["bytes of the file", *(f"{size:,}" for size in figures.size)],
        ["bytes of tensors at one time, at most", *(f"{size:,}" for size in figures.memory)],
        ["ms a picture", *(f"{taken:.1f}" for taken in figures.milliseconds)],
    ]
    return markdown_table(["", "float between binary layers", "int8"], body)


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


def int8_table(entries: list[Entry]) -> str:
    """Return the README's table of variants."""
    header = ["entry", "metric (float glue)", "file", "tensors at one time", "ms (int8 baseline)"]
    table = markdown_table(header, [_row(entry) for entry in entries])
    return (
        "With nothing in floating point (`larq-dense convert NAME --int8`), beside the same with "
        f"float between the binary layers:\n\n{table}"
    )


def _row(entry: Entry) -> list[str]:
    figures = _Figures(entry)
    metrics = [figures.metric(rows) for rows in figures.accuracy]
    size, memory, taken = figures.size, figures.memory, figures.milliseconds
    return [
        f"[`{entry.name}`](zoo/{entry.name}/card.md#in-eight-bits)",
        f"{METRIC_TITLES[figures.main]} " + ", ".join(f"{m.int8} ({m.glue})" for m in metrics),
        f"{size.int8 / 1024:.0f} KiB ({size.glue / 1024:.0f})",
        f"{memory.int8 / 1024:.0f} KiB ({memory.glue / 1024:.0f})",
        f"{taken.int8:.1f}, float glue {taken.glue:.1f} ({figures.baseline:.1f}), "
        f"{vectors(figures.variant['machine'])}",
    ]
