"""`larq-dense zoo`: the published entries."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from larq_dense.cli.options import FILE, FOLDER, count_option, data_option, json_option
from larq_dense.cli.output import print_json, print_table


@click.group()
def command() -> None:
    """List, describe and publish the zoo's entries."""


@command.command("list")
@click.argument("pattern", default="*")
@json_option
def list_entries(pattern: str, as_json: bool) -> None:
    """List the entries whose names match PATTERN.

    \b
    Example:
      larq-dense zoo list
      larq-dense zoo list "*road*"
    """
    from larq_dense import zoo

    found = [zoo.info(name) for name in zoo.list_entries(pattern)]
    if as_json:
        print_json([_summary(entry) for entry in found])
        return
    rows = [list(_summary(entry).values()) for entry in found]
    print_table(["name", "task", "metric", "value", "measured on", "OPs", "bytes"], rows)


@command.command()
@click.argument("name")
@json_option
def info(name: str, as_json: bool) -> None:
    """Describe the entry NAME: classes, input, data, figures.

    \b
    Example:
      larq-dense zoo info camvid
    """
    from larq_dense import zoo

    entry = zoo.info(name)
    if as_json:
        print_json(entry)
        return
    classes = ", ".join(each["name"] for each in entry["classes"])
    rows: list[tuple[str, object]] = [
        ("name", entry["name"]),
        ("task", entry["title"]),
        ("classes", classes),
        ("input", f"{entry['input']['width']}×{entry['input']['height']}"),
        ("weights", entry["notice"]),
        ("sha256", entry["sha256"]),
    ]
    for row in entry["metrics"].get("accuracy", []):
        value = row["metrics"][entry["main_metric"]]
        rows.append((f"{entry['main_metric']} on {row['data']} ({row['split']})", value))
    print_table(["", ""], rows)


@command.command()
@click.argument("name")
def card(name: str) -> None:
    """Print the card of the entry NAME.

    \b
    Example:
      larq-dense zoo card ecssd
    """
    from larq_dense import zoo

    click.echo(zoo.find(name).card(), nl=False)


@command.command()
@click.argument("run", type=FOLDER)
@click.argument("name")
@data_option(help="Folder that holds the recipe's validation sources.")
@click.option("--zoo", "root", type=FOLDER, metavar="DIR", help="Instead of the zoo's own folder.")
@count_option("--repeats", 50, help="Timed runs.")
def publish(run: Path, name: str, data: Path, root: Path | None, repeats: int) -> None:
    """Turn the training RUN into the entry NAME: packed weights, metrics, card.

    A run by `larq-dense train --quantize` becomes the entry's int8 variant; of one by `larq-dense
    train --baseline` only the figures are kept, next to the entry's.

    Measures the packed weights on every validation source, converts them with the audit, compares
    the file with Keras, and times it and its full-precision baseline. An entry of that name is
    replaced.

    \b
    Example:
      larq-dense zoo publish runs/camvid camvid --data ../shared/data
    """
    from larq_dense.publishing import publish
    from larq_dense.publishing.measure import measure
    from larq_dense.publishing.plots import draw

    entry = publish(run, name, partial(measure, data=data, repeats=repeats), root)
    draw(entry)
    click.echo(f"published {entry.folder}")


@command.command()
@click.argument("source", metavar="RUN_OR_ENTRY")
@click.argument("address", metavar="hf://OWNER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository for its owner only.")
def push(source: str, address: str, private: bool) -> None:
    """Share an entry, or a run's best weights, on the Hugging Face Hub.

    Weights go there as safetensors, with the converted file, the recipe, the metrics, the card and
    the SHA-256 of each file of weights; nothing is pickled. A run is packed and converted first. It
    needs the extra `hub`, and `hf auth login` or HF_TOKEN for the right to write.

    All commands then take the address as a model's name, and verify every SHA-256.

    \b
    Example:
      larq-dense zoo push runs/mine hf://me/cracks
      larq-dense predict hf://me/cracks photo.jpg
      larq-dense predict hf://me/cracks@v1 photo.jpg
    """
    from larq_dense.publishing.push import push

    click.echo(f"pushed {push(source, address, private)}")


@command.command()
@click.argument("pattern", default="*")
def files(pattern: str) -> None:
    """Convert the entries whose names match PATTERN, and keep the files next to their weights.

    `larq-dense zoo publish` does so, too. Use this command after a new converter or a new
    description has changed the files.

    \b
    Example:
      larq-dense zoo files ecssd
    """
    from larq_dense import zoo
    from larq_dense.publishing.files import renew_files

    for name in zoo.list_entries(pattern):
        renew_files(zoo.find(name))
        click.echo(f"converted {name}")


@command.command()
@click.option("--readme", type=FILE, metavar="FILE", help="Renew the table of entries there, too.")
def render(readme: Path | None) -> None:
    """Write every description, card and plot again from the entry's recipe and metrics.

    \b
    Example:
      larq-dense zoo render --readme README.md
    """
    from larq_dense import zoo
    from larq_dense.common.files import write_json, write_text
    from larq_dense.publishing.card import card as card_of
    from larq_dense.publishing.plots import draw
    from larq_dense.publishing.tables import render_readme
    from larq_dense.zoo.description import DESCRIPTION, describe

    for name in zoo.list_entries():
        entry = zoo.find(name)
        if entry.metrics():
            write_json(entry.folder / DESCRIPTION, describe(entry))
            write_text(entry.card_file, card_of(entry))
            draw(entry)
            click.echo(f"wrote {entry.card_file}")
    if readme is not None:
        render_readme(readme)
        click.echo(f"wrote {readme}")


def _summary(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one line of the list: the main metric on the first source, OPs and bytes."""
    metrics = entry["metrics"]
    first = metrics["accuracy"][0] if metrics else None
    return {
        "name": entry["name"],
        "task": entry["title"],
        "metric": entry["main_metric"],
        "value": first["metrics"][entry["main_metric"]] if first else None,
        "data": f"{first['data']} ({first['split']})" if first else None,
        "ops": metrics["complexity"]["binary"]["ops"] if metrics else None,
        "bytes": metrics["complexity"]["binary"]["stored_bytes"] if metrics else None,
    }
