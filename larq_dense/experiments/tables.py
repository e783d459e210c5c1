"""What an ablation found, as tables."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from larq_dense.common.markdown import METRIC_TITLES, format_metric, markdown_table


class Table(NamedTuple):
    """A table of text: its title, the header, and the rows."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def markdown(document: dict[str, Any]) -> str:
    """Return an ablation's tables as a Markdown document."""
    parts = [f"# Ablation: {document['recipe']}"]
    for table in tables(document):
        parts += [table.title, markdown_table(table.columns, table.rows)]
    return "\n\n".join(parts) + "\n"


def tables(document: dict[str, Any]) -> list[Table]:
    """Return the tables: variants, hypotheses if there are any, and attention if it was timed."""
    found = [_variants(document)]
    if document["hypotheses"]:
        found.append(_hypotheses(document))
    if document["attention"]:
        found.append(_attention(document["attention"]))
    return found


def _variants(document: dict[str, Any]) -> Table:
    metric, sources = document["metric"], list(document["variants"][0]["sources"])
    height, width = document["input"]
    cost = ("OPs", "binary MACs", "float MACs", "parameters", "bytes", "ms", "engine")
    keys = ("ops", "binary_macs", "float_macs", "parameters", "stored_bytes")
    several = ["mean"] if len(sources) > 1 else []
    rows = []
    for variant in document["variants"]:
        found = [variant["sources"][source] for source in sources]
        found += [variant["score"]] * len(several)
        rows.append(
            (
                variant["title"],
                str(len(variant["runs"])),
                *(_figure(metric, each) for each in found),
                *(f"{variant['complexity'][key]:,.0f}" for key in keys),
                f"{variant['latency']['median_ms']:.2f}",
                variant["latency"]["engine"],
            )
        )
    name = METRIC_TITLES.get(metric, metric)
    title = (
        f"{name} on the validation sources, mean and standard deviation over seeds, after "
        f"{document['steps']} steps of {document['batch_size']}; milliseconds of one picture of "
        f"{width}x{height} on one thread of {document['machine']['cpu']}"
    )
    return Table(title, ("variant", "seeds", *sources, *several, *cost), rows)


def _figure(metric: str, statistics: dict[str, Any]) -> str:
    mean = format_metric(metric, statistics["mean"])
    deviation = statistics["deviation"]
    return mean if deviation is None else f"{mean} ± {format_metric(metric, deviation)}"


def _hypotheses(document: dict[str, Any]) -> Table:
    metric = document["metric"]
    rows = [
        (
            each["hypothesis"],
            f"{each['variant']} over {each['against']}",
            format_metric(metric, each["gain"]),
            format_metric(metric, each["error"]),
            each["verdict"],
        )
        for each in document["hypotheses"]
    ]
    return Table(
        "hypotheses", ("hypothesis", "variants", "gain", "standard error", "verdict"), rows
    )


def _attention(found: dict[str, Any]) -> Table:
    height, width, filters = found["input"]
    keys = ("ops", "binary_macs", "float_macs")
    rows = [
        (
            name,
            *(f"{cost[key]:,.0f}" for key in keys),
            *(f"{cost[key]:.3f}" for key in ("attention_ms", "stage_ms")),
            cost["engine"],
        )
        for name, cost in found["kinds"].items()
    ]
    title = (
        f"attention over {found['branches']} branches of {height}x{width}x{filters}, the decoder's "
        "last stage; milliseconds are what it adds to the stage, and the stage's with it"
    )
    columns = ("attention", "OPs", "binary MACs", "float MACs", "ms", "ms of the stage", "engine")
    return Table(title, columns, rows)
