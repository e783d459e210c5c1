"""An evaluation on disk: figures, tables and pictures that a person can look at."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from larq_dense.common.files import write_bytes, write_json, write_text
from larq_dense.common.images import overlay, read_image
from larq_dense.evaluation.accuracy import (
    Evaluation,
    Predicts,
    Scored,
)
from larq_dense.tasks import Task

SHEET_ROWS = 8
"""Pictures on a contact sheet."""
TILE_WIDTH = 320
"""Width of each of its tiles in pixels."""
_CAPTION_HEIGHT = 18


def write_report(
    folder: Path,
    evaluation: Evaluation,
    document: dict[str, Any],
    predictor: Predicts,
    task: Task,
) -> list[Path]:
    """Write `metrics.json`, `per_class.csv`, `confusion.png`, `worst.jpg` and `best.jpg`.

    Args:
        folder: Made if missing.
        evaluation: What `measure` returned.
        document: Written as `metrics.json`.
        predictor: Predicts the shown pictures once more.
        task: The task that was measured.

    Returns:
        The files written; no `confusion.png` for a task without a confusion matrix.

    Raises:
        LarqDenseError: The folder cannot be written.
    """
    files = [folder / "metrics.json", folder / "per_class.csv"]
    write_json(files[0], document)
    write_text(files[1], per_class_csv(evaluation.per_class))
    if evaluation.confusion is not None:
        names = [info.name for info in task.classes]
        write_bytes(folder / "confusion.png", confusion_png(evaluation.confusion, names))
        files.append(folder / "confusion.png")
    ranked = sorted(evaluation.scored, key=lambda scored: scored.iou)
    for name, chosen in (("worst", ranked[:SHEET_ROWS]), ("best", ranked[::-1][:SHEET_ROWS])):
        path = folder / f"{name}.jpg"
        write_bytes(path, _jpeg(comparison_sheet(chosen, predictor, task)))
        files.append(path)
    return files


def per_class_csv(per_class: dict[str, dict[str, float]]) -> str:
    """Return the table of classes as CSV, one class a line."""
    columns = list(dict.fromkeys(key for values in per_class.values() for key in values))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["class", *columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"class": name, **values} for name, values in per_class.items())
    return text.getvalue()


def confusion_png(confusion: NDArray[np.int64], names: list[str]) -> bytes:
    """Draw a confusion matrix, each row as shares of its true class.

    Args:
        confusion: Pixels, int64 `[true class, predicted class]`.
        names: The classes.

    Returns:
        The PNG file.
    """
    from matplotlib.figure import Figure

    pixels = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, pixels, out=np.zeros(confusion.shape), where=pixels > 0)
    side = 2.5 + 0.55 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right")
    axes.set_yticks(ticks, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("share of the true class's pixels, %")
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        text = f"{100 * share:.1f}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def comparison_sheet(chosen: list[Scored], predictor: Predicts, task: Task) -> NDArray[np.uint8]:
    """Draw pictures as rows: the picture, the true labels over it, the predicted ones.

    Returns:
        uint8 `[height, width, 3]`.
    """
    return np.concatenate([_row(scored, predictor, task) for scored in chosen])


def _row(scored: Scored, predictor: Predicts, task: Task) -> NDArray[np.uint8]:
    picture = read_image(scored.sample.image)
    label = task.read_label(scored.sample)
    predicted = predictor.predict(scored.sample.image).labels()
    tiles = [picture, overlay(picture, label, task.palette)]
    tiles.append(overlay(picture, predicted, task.palette))
    # A column of pixels would else become a sheet of its own.
    height = min(max(1, round(picture.shape[0] * TILE_WIDTH / picture.shape[1])), TILE_WIDTH)
    row = np.concatenate([_tile(tile, height) for tile in tiles], axis=1)
    caption = Image.new("RGB", (row.shape[1], _CAPTION_HEIGHT), "white")
    draw = ImageDraw.Draw(caption)
    font = ImageFont.load_default()
    texts = (scored.sample.stem, "labelled", f"predicted, IoU {100 * scored.iou:.1f} %")
    for column, text in enumerate(texts):
        # Pillow's built-in font may have no more than Latin-1.
        printable = text.encode("latin-1", "replace").decode("latin-1")
        draw.text((column * TILE_WIDTH + 4, 3), printable, "black", font=font)
    return np.concatenate([np.asarray(caption), row])


def _tile(picture: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    tile = Image.new("RGB", (TILE_WIDTH, height), "white")
    tile.paste(ImageOps.contain(Image.fromarray(picture), tile.size))
    return np.asarray(tile)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=88)
    return file.getvalue()
