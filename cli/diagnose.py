"""`larq-dense diagnose`."""

from pathlib import Path
from typing import Any

import click

from larq_dense.cli.options import FOLDER, count_option, data_option, json_option, split_option
from larq_dense.cli.output import print_json, print_table

_QUESTIONS = {
    "branch_errors": "The branches' errors are independent and average out",
    "attention": "The attention's masks choose",
    "parallelism": "K branches cost less than K times one",
}


@click.command()
@click.argument("model")
@data_option(help="Folder of the data set: as published, or images/, masks/ and lists.")
@split_option
@count_option("--limit", 16, help="Pictures, evenly spaced over the split.")
@count_option("--repeats", 20, help="Timed runs for each number of branches.")
@click.option("--output", type=FOLDER, metavar="DIR", help="Write diagnosis.json and .png here.")
@json_option
def command(
    model: str,
    data: Path,
    split: str,
    limit: int,
    repeats: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Test the method's three hypotheses on MODEL.

    MODEL is an entry's name or a run's folder. Three checks: whether the binarization errors of
    parallel branches are independent and average out; whether the attention's masks choose, or are
    uniform; whether K branches cost less than K times one. docs/diagnostics.md defines the figures
    and the criteria.

    \b
    Example:
      larq-dense diagnose cityscapes --data idd_lite --split val --output report
    """
    from larq_dense.common.files import prepare_folder, write_json
    from larq_dense.experiments.diagnosis import check_binary, diagnose

    check_binary(model)
    if output is not None:
        prepare_folder(output)
    found = diagnose(model, data, split, limit, repeats)
    document = found.document
    if output is not None:
        write_json(output / "diagnosis.json", document)
        found.plot(output / "diagnosis.png")
    if as_json:
        print_json(document)
        return
    _print(document)
    if output is not None:
        click.echo(f"wrote {output / 'diagnosis.json'} and {output / 'diagnosis.png'}")


def _print(document: dict[str, Any]) -> None:
    click.echo(
        f"{document['model']} on {document['images']} pictures of {document['data']}, "
        f"{document['split']}"
    )
    for name, question in _QUESTIONS.items():
        check = document[name]
        click.echo()
        click.echo(f"{question}: {check['verdict'] or 'the network has none'}")
        rows = check.get("layers", check.get("parts"))
        if rows is None:
            rows = [
                {"milliseconds by K": key, **{f"K = {k}": v for k, v in times.items()}}
                for key, times in check["milliseconds"].items()
            ]
        if rows:
            print_table(list(rows[0]), [list(row.values()) for row in rows])
