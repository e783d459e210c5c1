"""What `larq-dense ablate` found, as tables for the terminal and for Markdown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from larq_dense.cli.output import print_table
from larq_dense.zoo.markdown import METRIC_TITLES, format_metric, markdown_table


class _Table(NamedTuple):
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def print_tables(document: dict[str, Any]) -> None:
    """Print an ablation's tables."""
    for table in _tables(document):
        print_table(table.columns, table.rows, table.title)
        click.echo()


def markdown(document: dict[str, Any]) -> str:
    """Return an ablation's tables as a Markdown document."""
    parts = [f"# Ablation: {document['recipe']}"]
    for table in _tables(document):
        parts += [table.title, markdown_table(table.columns, table.rows)]
    return "\n\n".join(parts) + "\n"


def _tables(document: dict[str, Any]) -> list[_Table]:
    tables = [_arms(document)]
    if document["claims"]:
        tables.append(_claims(document))
    if document["attention"]:
        tables.append(_attention(document["attention"]))
    return tables


def _arms(document: dict[str, Any]) -> _Table:
    metric, sources = document["metric"], list(document["arms"][0]["sources"])
    height, width = document["input"]
    cost = ("OPs", "binary MACs", "float MACs", "parameters", "bytes", "ms", "engine")
    keys = ("ops", "binary_macs", "float_macs", "parameters", "stored_bytes")
    several = ["mean"] if len(sources) > 1 else []
    rows = []
    for arm in document["arms"]:
        found = [arm["sources"][source] for source in sources]
        found += [arm["score"]] * len(several)
        rows.append(
            (
                arm["title"],
                str(len(arm["runs"])),
                *(_figure(metric, each) for each in found),
                *(f"{arm['complexity'][key]:,.0f}" for key in keys),
                f"{arm['latency']['median_ms']:.2f}",
                arm["latency"]["engine"],
            )
        )
    name = METRIC_TITLES.get(metric, metric)
    title = (
        f"{name} on the validation sources, mean and standard deviation over seeds, after "
        f"{document['steps']} steps of {document['batch_size']}; milliseconds of one picture of "
        f"{width}x{height} on one thread of {document['machine']['cpu']}"
    )
    return _Table(title, ("arm", "seeds", *sources, *several, *cost), rows)


def _figure(metric: str, statistics: dict[str, Any]) -> str:
    mean = format_metric(metric, statistics["mean"])
    spread = statistics["spread"]
    return mean if spread is None else f"{mean} ± {format_metric(metric, spread)}"


def _claims(document: dict[str, Any]) -> _Table:
    metric = document["metric"]
    rows = [
        (
            each["claim"],
            f"{each['arm']} over {each['against']}",
            format_metric(metric, each["gain"]),
            format_metric(metric, each["error"]),
            each["verdict"],
        )
        for each in document["claims"]
    ]
    return _Table("claims", ("claim", "arms", "gain", "standard error", "verdict"), rows)


def _attention(found: dict[str, Any]) -> _Table:
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
    return _Table(title, columns, rows)
