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
    """Return an ablation's tables: arms, claims if it has any, and attention if it was timed."""
    found = [_arms(document)]
    if document["claims"]:
        found.append(_claims(document))
    if document["attention"]:
        found.append(_attention(document["attention"]))
    return found


def _arms(document: dict[str, Any]) -> Table:
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
    return Table(title, ("arm", "seeds", *sources, *several, *cost), rows)


def _figure(metric: str, statistics: dict[str, Any]) -> str:
    mean = format_metric(metric, statistics["mean"])
    deviation = statistics["deviation"]
    return mean if deviation is None else f"{mean} ± {format_metric(metric, deviation)}"


def _claims(document: dict[str, Any]) -> Table:
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
    return Table("claims", ("claim", "arms", "gain", "standard error", "verdict"), rows)


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
