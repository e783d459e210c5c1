"""`larq-dense data`: look at a data set before a model does."""

from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from larq_dense.cli.options import FILE, FOLDER, Number, json_option
from larq_dense.cli.output import print_json, print_table
from larq_dense.common.errors import printable
from larq_dense.common.progress import progress

if TYPE_CHECKING:
    from larq_dense.tasks.check import CheckReport
    from larq_dense.tasks.problems import Problem

_SHOWN = 10


@click.group()
def command() -> None:
    """Check a data set, or import polygons as one."""


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--task", "task_name", metavar="NAME", help="Report on the classes of this task.")
@click.option(
    "--labels",
    metavar="NAME",
    help="Label encoding of a plain folder, such as camvid, if neither its classes.yaml nor its "
    "name tells.",
)
@click.option(
    "--sheet",
    type=FILE,
    metavar="FILE",
    help="Write a contact sheet there (PNG).",
)
@json_option
@click.pass_context
def check(
    context: click.Context,
    folder: Path,
    task_name: str | None,
    labels: str | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Read every picture and mask in DIR and report on them.

    Finds pictures without mask, masks that hold something else than labels or teach nothing,
    damaged files, and names in lists that fit no file or several; prints sizes and the balance of
    the classes. DIR is a published data set (Cityscapes, KITTI road, ECSSD, DUTS, CamVid,
    IDD-Lite) or a folder with images/, masks/, lists such as train.txt and, for your own classes,
    classes.yaml. The exit code is 1 if there is an error; a warning alone leaves it at 0.

    \b
    Example:
      larq-dense data check camvid/ --sheet camvid.png
    """
    from larq_dense import tasks
    from larq_dense.common.files import write_bytes
    from larq_dense.tasks.check import check as check_data
    from larq_dense.tasks.folder import Folder
    from larq_dense.tasks.sheet import contact_sheet

    task = tasks.get(task_name) if task_name is not None else None
    data = Folder.open(folder, task, labels)
    report, usable = check_data(data, progress=_progress)
    if sheet is not None and usable:
        png = BytesIO()
        contact_sheet(usable, data.task).save(png, "PNG")
        write_bytes(sheet, png.getvalue())
    written = str(sheet) if sheet is not None and usable else None
    if as_json:
        print_json({**report.to_dict(), "sheet": written})
    else:
        _print(report, written)
    if report.problems:
        context.exit(1)


@command.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--output", type=FOLDER, required=True, metavar="DIR", help="Folder to write.")
@click.option(
    "--images",
    type=FOLDER,
    metavar="DIR",
    help="Folder of the pictures.  [default: SOURCE's]",
)
@click.option(
    "--val",
    "validation",
    type=Number(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the pictures for val.txt.",
)
@json_option
def import_command(
    source: Path, output: Path, images: Path | None, validation: float, as_json: bool
) -> None:
    """Draw polygons into masks: a folder to train on.

    SOURCE is a COCO file of instances, or a folder of labelme's .json files. DIR receives images/
    (copies), masks/, classes.yaml, train.txt and val.txt. Class 0 is the background.

    \b
    Example:
      larq-dense data import instances.json --images photos/ --output my_data
      larq-dense data import labelme/ --output my_data
    """
    from larq_dense.tasks.importing import import_polygons

    found = import_polygons(source, output, images, validation, _progress)
    if as_json:
        print_json({"folder": found.folder, "classes": found.classes, "splits": found.splits})
        return
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items())
    click.echo(f"{found.folder}: {splits}; classes: {', '.join(found.classes)}")


def _progress(frames: Iterable[Any], count: int) -> Iterable[Any]:
    return progress(frames, "reading", count)


def _print(report: "CheckReport", sheet: str | None) -> None:
    splits = ", ".join(f"{name} {count}" for name, count in report.splits.items())
    sizes = ", ".join(f"{size} ({count})" for size, count in list(report.sizes.items())[:3])
    more = len(report.sizes) - 3
    rows: list[tuple[str, object]] = [
        ("folder", report.root),
        ("layout", report.layout),
        ("labels", report.encoding),
        ("splits", splits or "no lists"),
        ("frames", report.frames),
        ("usable", report.usable),
        ("sizes", f"{sizes} and {more} more" if more > 0 else sizes),
        ("not labelled", f"{report.ignored:.1%} of the pixels"),
    ]
    if sheet is not None:
        rows.append(("contact sheet", sheet))
    if report.unlabelled:
        rows.insert(4, ("without masks", ", ".join(report.unlabelled)))
    for name, value in rows:
        click.echo(f"{name:14}{'-' if value is None else value}")
    click.echo()
    print_table(
        ("class", "share of pixels", "images"),
        [(share.name, f"{share.share:.2%}", share.images) for share in report.classes],
    )
    click.echo()
    _print_problems("Error", report.problems)
    _print_problems("Warning", report.warnings)
    click.echo(_summary(len(report.problems), len(report.warnings)))


def _print_problems(title: str, problems: "list[Problem]") -> None:
    """Print problems by their kind, a few of each."""
    kinds = Counter(problem.kind for problem in problems)
    for kind, count in kinds.items():
        click.echo(f"{title}: {kind} ({count})")
        messages = [problem.message for problem in problems if problem.kind == kind]
        for message in messages[:_SHOWN]:
            click.echo(f"  {printable(message)}")
        if count > _SHOWN:
            click.echo(f"  … and {count - _SHOWN} more; --json lists them all.")


def _summary(errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return "No problems found."
    counts = [f"{errors} error{'s' * (errors != 1)}"] if errors else []
    counts += [f"{warnings} warning{'s' * (warnings != 1)}"] if warnings else []
    return f"Found {' and '.join(counts)}."
