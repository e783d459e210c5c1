"""A contact sheet: a few frames of a data set with their labels laid over them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from larq_dense.common.images import overlay, read_image
from larq_dense.tasks.sources import Sample
from larq_dense.tasks.task import Task

_COLUMNS = 4
_ROWS = 5
_TILE = (280, 200)
_LINE = 14
_MARGIN = 6


def contact_sheet(samples: Sequence[Sample], task: Task) -> Image.Image:
    """Draw up to 20 frames, evenly chosen, under a legend of the classes that they show.

    Args:
        samples: Frames that can be read; at least one.
        task: Reads their labels and colours them.

    Returns:
        An RGB picture.
    """
    count = min(len(samples), _COLUMNS * _ROWS)
    chosen = [samples[index * len(samples) // count] for index in range(count)]
    labels = [task.read_label(sample) for sample in chosen]
    shown = sorted({int(value) for label in labels for value in np.unique(label)})
    legend = [value for value in shown if value < len(task.classes)]
    width = _COLUMNS * (_TILE[0] + _MARGIN) + _MARGIN
    legend_height = _MARGIN + -(-len(legend) // _COLUMNS) * _LINE
    rows = -(-count // _COLUMNS)
    height = legend_height + rows * (_TILE[1] + _LINE + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    _draw_legend(sheet, task, legend)
    for index, (sample, label) in enumerate(zip(chosen, labels, strict=True)):
        row, column = divmod(index, _COLUMNS)
        x = _MARGIN + column * (_TILE[0] + _MARGIN)
        y = legend_height + _MARGIN + row * (_TILE[1] + _LINE + _MARGIN)
        _draw_frame(sheet, sample, label, task, (x, y))
    return sheet


def _draw_legend(sheet: Image.Image, task: Task, legend: list[int]) -> None:
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for index, value in enumerate(legend):
        row, column = divmod(index, _COLUMNS)
        x, y = _MARGIN + column * (_TILE[0] + _MARGIN), _MARGIN + row * _LINE
        info = task.classes[value]
        draw.rectangle((x, y, x + 18, y + _LINE - 4), fill=info.color, outline="black")
        draw.text((x + 24, y - 1), _printable(info.name), fill="black", font=font)


def _draw_frame(
    sheet: Image.Image,
    sample: Sample,
    label: NDArray[np.uint8],
    task: Task,
    corner: tuple[int, int],
) -> None:
    picture = Image.fromarray(overlay(read_image(sample.image), label, task.palette))
    picture.thumbnail(_TILE)
    sheet.paste(picture, corner)
    place = (corner[0], corner[1] + picture.height + 1)
    ImageDraw.Draw(sheet).text(
        place, _printable(sample.stem), fill="black", font=ImageFont.load_default()
    )


def _printable(text: str) -> str:
    # Pillow's built-in font may have no more than Latin-1.
    return text.encode("latin-1", "replace").decode("latin-1")[:44]
