"""`larq-dense predict`: label pictures and video."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from larq_dense.cli.options import (
    Number,
    Precision,
    Runtime,
    json_option,
    precision_option,
    runtime_option,
    threads_option,
    tile_option,
    tta_option,
)

if TYPE_CHECKING:
    from larq_dense.runtime import Predictor
    from larq_dense.runtime.outputs import Outputs

Item = TypeVar("Item")
Result = TypeVar("Result")

_DEFAULT_OUTPUT = Path("predictions")
_STREAM = "-"


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the files written, or - for standard output.  "
    f"[default: {_DEFAULT_OUTPUT}, or none with --json]",
)
@click.option(
    "--save",
    type=click.Choice(["overlay", "mask", "cutout", "probability", "npy"]),
    multiple=True,
    help="What to write for each picture; may be repeated.  "
    "[default: overlay, or cutout with --background]",
)
@click.option(
    "--format",
    type=click.Choice(["png", "jpg", "webp"]),
    default="png",
    show_default=True,
    help="Format of overlays and cut-outs.",
)
@click.option(
    "--threshold",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Probability that a label needs: of an object, 0.5 by default; of several classes, the "
    "pixels below it get the label 255.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="CLASS",
    help="Class that a cut-out keeps; may be repeated.  [default: all that have a colour]",
)
@click.option(
    "--background",
    metavar="COLOR|IMAGE|blur",
    help="Background of a cut-out: a colour as in CSS, a picture, or `blur`, the picture blurred.",
)
@click.option(
    "--smooth",
    type=Number(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Of a video, the weight of the frames before in a frame's result.",
)
@tile_option
@tta_option
@click.option(
    "--entry",
    metavar="NAME",
    help="Zoo entry whose classes and normalization apply to a .tflite file that carries none.",
)
@precision_option
@runtime_option
@threads_option
@json_option
def command(
    model: str,
    images: tuple[str, ...],
    output: Path | None,
    save: tuple[Any, ...],
    format: Literal["png", "jpg", "webp"],
    threshold: float | None,
    keep: tuple[str, ...],
    background: str | None,
    smooth: float,
    tile: int | None,
    tta: bool,
    entry: str | None,
    precision: Precision | None,
    runtime: Runtime,
    threads: int,
    as_json: bool,
) -> None:
    """Label pictures with MODEL: a zoo entry, hf://OWNER/NAME, a run's folder or a .tflite file.

    IMAGE is a file, a folder, a glob, - for standard input, a video, or the number of a camera.

    An entry runs in its all-integer form, which is the faster one. `evaluate` and `robustness`
    measure the other one by default, which --precision binary runs here.

    \b
    overlay      the picture with the classes' colours over it
    mask         a PNG of the classes' numbers
    cutout       the object alone, transparent or on --background
    probability  a 16-bit PNG for each class, 65535 for a probability of 1
    npy          all probabilities, float32 [height, width, classes]

    A picture that cannot be read or written is named, the others are labelled all the same, and
    the exit code is 1. A video or a camera (the extra `video`) gives an overlay as MP4; Ctrl-C
    ends it, and what was written plays.

    \b
    Example:
      larq-dense predict cityscapes street.jpg 'drive/*.png' --output out/
      larq-dense predict ecssd photos/ --save cutout
      larq-dense predict ecssd photos/ --background white --format jpg
      larq-dense predict ecssd - --save cutout --output - < photo.jpg > cut.png
      larq-dense predict camvid street.jpg --save probability --threshold 0.8 --json
      larq-dense predict ecssd poster.tif --tile 512 --save mask
      larq-dense predict camvid street.jpg --precision binary
      larq-dense predict cityscapes drive.mp4 --smooth 0.6
      larq-dense predict ecssd 0
    """
    from larq_dense.cli.image_files import Names, expand, is_video
    from larq_dense.cli.output import print_json
    from larq_dense.common.errors import LarqDenseError
    from larq_dense.common.files import prepare_folder
    from larq_dense.runtime.outputs import Outputs

    if images.count(_STREAM) > 1:
        raise click.UsageError("- names standard input once; it holds one picture.")
    to_stream = str(output) == _STREAM
    videos = [each for each in images if is_video(each)]
    stills = [each for each in images if not is_video(each)]
    if to_stream and (as_json or videos):
        raise click.UsageError("--output - is for one picture, without --json.")
    folder = output or (None if as_json and not videos else _DEFAULT_OUTPUT)
    files = [each for each in stills if each != _STREAM]
    pictures: list[Path | None] = list(expand(files, folder))
    if _STREAM in stills:
        pictures.insert(stills.index(_STREAM), None)
    kinds = save or (("cutout",) if background else ("overlay",))
    _check_usage(kinds, keep, background, smooth, stills, videos)
    if to_stream and (len(pictures) != 1 or len(kinds) != 1):
        raise click.UsageError("--output - is for one picture and one --save.")
    predictor = _predictor(model, entry, precision, runtime, threads, tile, tta)
    outputs = Outputs(
        predictor.spec, tuple(dict.fromkeys(kinds)), format, threshold, keep, background
    )
    if folder is not None and not to_stream:
        prepare_folder(folder)
    rows, failed = _label_all(predictor, outputs, pictures, folder, as_json)
    names = Names()
    for video in videos:
        target = (folder or Path()) / f"{names.new(_video_name(video))}_overlay.mp4"
        try:
            rows.append(_label_video(predictor, outputs, video, target, smooth))
        except LarqDenseError as error:
            failed.append({"image": video, "error": str(error)})
    _warn(failed)
    if as_json:
        print_json({"model": model, "task": predictor.spec.task, "images": rows, "failed": failed})
    elif not to_stream:
        _print(rows)
    if failed:
        count = len(pictures) + len(videos)
        raise LarqDenseError(
            f"{len(failed)} of {count} pictures could not be labelled; each is named above."
        )


def _check_usage(
    kinds: tuple[str, ...],
    keep: tuple[str, ...],
    background: str | None,
    smooth: float,
    stills: list[str],
    videos: list[str],
) -> None:
    """Refuse an option that would change nothing.

    Raises:
        click.UsageError: There is one.
    """
    if background and "cutout" not in kinds:
        raise click.UsageError("--background is for cut-outs; add --save cutout.")
    if keep and not {"cutout", "probability"} & set(kinds):
        raise click.UsageError("--keep is for cut-outs; add --save cutout.")
    if smooth and not videos:
        raise click.UsageError("--smooth is for video.")
    if videos and not stills and set(kinds) - {"overlay"}:
        raise click.UsageError("a video gives an overlay; leave out --save and --background.")


def _predictor(
    model: str,
    entry: str | None,
    precision: Precision | None,
    runtime: Runtime,
    threads: int,
    tile: int | None,
    tta: bool,
) -> "Predictor":
    from larq_dense.zoo.opening import is_file, open_predictor

    if entry is None:
        return open_predictor(model, runtime, threads, tile, tta, precision).predictor
    if not is_file(model) or runtime == "keras":
        raise click.UsageError(
            "--entry is for a .tflite file; an entry or a run has its own classes."
        )
    if precision is not None:
        raise click.UsageError("--precision is for a zoo entry; a .tflite file has one form.")
    from larq_dense import zoo
    from larq_dense.runtime import Predictor

    spec = zoo.find(entry).spec()
    return Predictor.from_tflite(model, threads, runtime, spec, tile, tta)


def _label_all(
    predictor: "Predictor",
    outputs: "Outputs",
    pictures: list[Path | None],
    folder: Path | None,
    with_scores: bool,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Label pictures on threads; return a row about each, and what failed and why."""
    import warnings

    from PIL import Image

    from larq_dense.cli.image_files import Names
    from larq_dense.common.errors import LarqDenseError
    from larq_dense.common.progress import progress

    # What is too large to be safe is refused; what is merely large is welcome.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    names = Names(folder, [each for each in pictures if each is not None])
    named = [(path, names.new("stdin" if path is None else path.stem)) for path in pictures]
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []

    def label(item: tuple[Path | None, str]) -> dict[str, Any] | str:
        try:
            return _label(predictor, outputs, *item, folder, with_scores)
        except LarqDenseError as error:
            return str(error)
        except MemoryError:
            return f"not enough memory for {item[0] or _STREAM}; use a smaller picture."

    results = progress(_on_threads(label, named), "predicting", len(named))
    for (path, _), result in zip(named, results, strict=True):
        if isinstance(result, str):
            failed.append({"image": str(path or _STREAM), "error": result})
        else:
            rows.append(result)
    return rows, failed


def _on_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results in the items' order, with no more in work than there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(8, (cores or 1) + 1)
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _label(
    predictor: "Predictor",
    outputs: "Outputs",
    path: Path | None,
    name: str,
    folder: Path | None,
    with_scores: bool,
) -> dict[str, Any]:
    """Label one picture, write what is asked for, and return a row about it."""
    from larq_dense.common.files import write_bytes
    from larq_dense.common.images import read_image
    from larq_dense.runtime.outputs import scores, shares

    pixels = predictor.spec.preprocessing.read(sys.stdin.buffer if path is None else path)
    prediction = predictor.predict(pixels)
    labels = prediction.labels(outputs.threshold)
    spec = predictor.spec
    row: dict[str, Any] = {
        "image": str(path or _STREAM),
        "width": prediction.width,
        "height": prediction.height,
        "shares": shares(labels, spec),
    }
    if with_scores:
        row["scores"] = scores(prediction, spec)
    if folder is None:
        return row
    written: dict[str, list[str]] = {}
    for kind, ending, content in outputs.files(read_image(pixels), prediction, labels):
        if str(folder) == _STREAM:
            sys.stdout.buffer.write(content)
            continue
        target = folder / f"{name}{ending}"
        write_bytes(target, content)
        written.setdefault(kind, []).append(str(target))
    return row | {kind: files[0] if len(files) == 1 else files for kind, files in written.items()}


def _video_name(source: str) -> str:
    return f"camera{source}" if source.isdigit() else Path(source.split("?")[0]).stem


def _label_video(
    predictor: "Predictor", outputs: "Outputs", source: str, target: Path, smooth: float
) -> dict[str, Any]:
    from larq_dense.runtime.video import label_video

    def watch(frames: int, rate: float) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{source}: {frames} frames, {rate:.1f} a second", err=True, nl=False)

    result = label_video(predictor, source, target, smooth, outputs.threshold, watch)
    if sys.stderr.isatty():
        click.echo(err=True)
    return {"image": source, **result, "overlay": str(target)}


def _warn(failed: list[dict[str, str]]) -> None:
    from larq_dense.cli.output import printable

    for failure in failed:
        click.echo(f"Warning: {printable(failure['error'])}", err=True)


def _print(rows: list[dict[str, Any]]) -> None:
    from larq_dense.cli.output import print_table
    from larq_dense.runtime.outputs import KINDS

    if not rows:
        return
    table = [
        [
            Path(row["image"]).name,
            ", ".join(f"{name} {100 * share:.1f} %" for name, share in row["shares"].items()),
            ", ".join(
                file
                for kind in KINDS
                for file in ([row[kind]] if isinstance(row.get(kind), str) else row.get(kind, []))
            ),
        ]
        for row in rows
    ]
    print_table(["picture", "share of the pixels", "written"], table)
