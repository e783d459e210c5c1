"""From polygons, as COCO and labelme store them, to a plain folder of masks."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field, ValidationError

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.images import open_picture, upright
from larq_dense.tasks.classes import CLASSES_FILE, voc_color
from larq_dense.tasks.layouts import PictureFiles
from larq_dense.tasks.names import is_hidden, normal

logger = logging.getLogger(__name__)

IGNORED = 255
BACKGROUND = "background"
_MOST = 254
_EXIF_ORIENTATION = 0x0112
# labelme's own names for what is no class.
_LABELME_BACKGROUND, _LABELME_IGNORED = "_background_", "__ignore__"


@dataclass(frozen=True)
class Drawing:
    """A picture with what is drawn on it.

    Attributes:
        image: The picture's file.
        height: Rows that the drawing refers to.
        width: Columns.
        draw: Gives the class name and the pixels, bool `[height, width]`, of each shape, the
            topmost last; None as a name is what is not labelled.
    """

    image: Path
    height: int
    width: int
    draw: Callable[[], Iterator[tuple[str | None, NDArray[np.bool_]]]]


@dataclass(frozen=True)
class Imported:
    """What an import wrote: the folder, its classes and the pictures of each split."""

    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, int]


def import_polygons(
    source: Path,
    output: Path,
    images: Path | None = None,
    validation: float = 0.1,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, _: items,
) -> Imported:
    """Write a plain folder from polygons.

    Pictures are copied as they are. Class 0 is the background. Where shapes overlap, COCO's smaller
    ones and labelme's later ones lie on top. A picture's split follows from a hash of its name.

    Args:
        source: A COCO file of instances, or a folder of labelme's files.
        output: The folder to write; it must not be there, or be empty.
        images: Folder of the pictures; that of `source` if not given.
        validation: Share of the pictures that go into `val.txt`, 0…1.
        progress: Wraps the drawings, given their number.

    Raises:
        DataError: A file is missing or wrong, or `output` holds files.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output} is there already; name a new folder.")
    names, drawings = (
        _read_labelme(source, images) if source.is_dir() else _read_coco(source, images)
    )
    classes = (BACKGROUND, *(name for name in names if name != BACKGROUND))
    if not drawings:
        raise DataError(f"{source} holds no picture; name another file or folder.")
    if not 2 <= len(classes) <= _MOST:
        raise DataError(
            f"{source} has {len(classes) - 1} classes besides the background; a mask can hold 1 to "
            f"{_MOST - 1}."
        )
    _refuse_rivals(drawings)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name[:60]}."))
    try:
        splits = _write(temporary, classes, progress(drawings, len(drawings)), validation)
        temporary.chmod(0o755)
        temporary.replace(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Imported(output, classes, splits)


def _write(
    folder: Path, classes: Sequence[str], drawings: Iterable[Drawing], validation: float
) -> dict[str, int]:
    ids: dict[str | None, int] = {name: place for place, name in enumerate(classes)}
    ids[None] = IGNORED
    colors = [(0, 0, 0), *(voc_color(place) for place in range(1, len(classes)))]
    drawn: dict[str, float] = {}
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for drawing in drawings:
        stem = normal(drawing.image.stem)
        orientation = _orientation(drawing)
        label = np.zeros((drawing.height, drawing.width), np.uint8)
        for shown, pixels in drawing.draw():
            label[pixels] = ids[shown]
        mask = Image.fromarray(label)
        mask.getexif()[_EXIF_ORIENTATION] = orientation
        mask = upright(mask)
        # A whole palette, or the file would have too few bits for the value to ignore.
        mask.putpalette(
            [part for color in colors for part in color] + [0] * 3 * (256 - len(colors))
        )
        mask.save(folder / "masks" / f"{stem}.png")
        shutil.copyfile(drawing.image, folder / "images" / f"{stem}{drawing.image.suffix}")
        drawn[stem] = int.from_bytes(hashlib.sha256(stem.encode()).digest()[:4], "big") / 2**32
    splits = _split(drawn, validation)
    for name, stems in splits.items():
        if stems:
            text = "".join(f"{stem}\n" for stem in sorted(stems))
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    entries = [
        {"name": name, "color": list(color)} for name, color in zip(classes, colors, strict=True)
    ]
    content = yaml.safe_dump({"classes": entries}, sort_keys=False, allow_unicode=True)
    (folder / CLASSES_FILE).write_text(content, encoding="utf-8")
    return {name: len(stems) for name, stems in splits.items()}


def _split(drawn: dict[str, float], validation: float) -> dict[str, list[str]]:
    """Share out pictures by what was drawn for each, 0…1; of several, each split gets one."""
    stems = sorted(drawn, key=lambda stem: drawn[stem])
    count = sum(each < validation for each in drawn.values())
    if len(stems) > 1 and 0 < validation < 1:
        count = min(max(count, 1), len(stems) - 1)
    return {"train": stems[count:], "val": stems[:count]}


def _orientation(drawing: Drawing) -> int:
    """Return the EXIF orientation by which a mask is to be turned.

    Raises:
        DataError: The polygons are for a picture of another size.
    """
    picture = open_picture(drawing.image)
    seen, size = upright(picture).size, (drawing.width, drawing.height)
    if seen == size:
        return 1
    if picture.size == size:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    raise DataError(
        f"the polygons of {drawing.image} are for {drawing.width} x {drawing.height} pixels, but "
        f"the picture has {seen[0]} x {seen[1]}; use the pictures that were labelled."
    )


def _refuse_rivals(drawings: Sequence[Drawing]) -> None:
    seen: dict[str, Path] = {}
    for drawing in drawings:
        stem = normal(drawing.image.stem)
        other = seen.get(stem)
        if other == drawing.image:
            raise DataError(f"{other} is there twice; put all of its shapes into one.")
        if other is not None:
            raise DataError(
                f"{other} and {drawing.image} have one name without their ending; rename one."
            )
        seen[stem] = drawing.image


# pycocotools crashes on points that lie much farther from a picture.
Number = Annotated[float, Field(ge=-100_000, le=100_000)]


class _CocoImage(BaseModel):
    id: int | str
    file_name: str
    height: int = Field(gt=0)
    width: int = Field(gt=0)


class _CocoAnnotation(BaseModel):
    image_id: int | str
    category_id: int
    segmentation: list[list[Number]] | dict[str, Any] = []
    area: float = 0.0


class _CocoCategory(BaseModel):
    id: int
    name: str = Field(min_length=1)


class _Coco(BaseModel):
    images: list[_CocoImage]
    annotations: list[_CocoAnnotation]
    categories: list[_CocoCategory]


def _read_coco(source: Path, images: Path | None) -> tuple[list[str], list[Drawing]]:
    content = _validated(_Coco, source)
    names = {category.id: category.name for category in content.categories}
    for title, known, entries in (
        ("categories", names, content.categories),
        ("images", {image.id for image in content.images}, content.images),
    ):
        if len(known) < len(entries):
            raise DataError(f"{source} has several {title} of one id; export the file again.")
    boxes = sum(not each.segmentation for each in content.annotations)
    if boxes == len(content.annotations):
        raise DataError(
            f"{source} holds no outline, only boxes or nothing; export it with segmentations."
        )
    if boxes:
        logger.warning("%s: %d shapes are boxes without an outline, left out.", source, boxes)
    shapes: dict[int | str, list[_CocoAnnotation]] = {image.id: [] for image in content.images}
    for each in content.annotations:
        if each.category_id not in names or each.image_id not in shapes:
            raise DataError(
                f"{source} has an annotation of category {each.category_id} on image "
                f"{each.image_id}, but not both of them; export the file again."
            )
        shapes[each.image_id].append(each)
    place = images or source.parent
    files = PictureFiles(place if images or not (place / "images").is_dir() else place / "images")
    drawings = [
        Drawing(
            _one(files, image.file_name, source),
            image.height,
            image.width,
            partial(_draw_coco, image, shapes[image.id], names, source),
        )
        for image in content.images
    ]
    return list(dict.fromkeys(names.values())), drawings


def _draw_coco(
    image: _CocoImage, shapes: list[_CocoAnnotation], names: dict[int, str], source: Path
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    try:
        from pycocotools import mask as coco
    except ModuleNotFoundError as error:
        raise LarqDenseError(
            "reading COCO's polygons needs pycocotools, which is not installed; run `pip install "
            "pycocotools`."
        ) from error
    for shape in sorted(shapes, key=lambda each: -each.area):
        if not shape.segmentation:
            continue  # A box only.
        try:
            pixels = coco.decode(_runs(coco, shape.segmentation, image))
        except Exception as error:  # pycocotools raises no other class for a wrong type
            raise DataError(
                f"{source} has a shape of {names[shape.category_id]!r} on {image.file_name} that "
                f"cannot be drawn ({error}); correct or remove it."
            ) from error
        if not pixels.any():
            logger.warning(
                "%s: a shape of %r covers no pixel of %s.",
                source,
                names[shape.category_id],
                image.file_name,
            )
        yield names[shape.category_id], pixels.astype(bool)


def _runs(coco: Any, segmentation: list[list[float]] | dict[str, Any], image: _CocoImage) -> Any:
    """Return a shape in the library's own form, which files may hold already."""
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [image.height, image.width]:
            raise ValueError("its size is not the picture's")
        counts = segmentation["counts"]
        # The library would believe any counts, and read and write beyond the picture.
        runs = _uncompressed(counts) if isinstance(counts, str) else counts
        if any(type(run) is not int or run < 0 for run in runs):
            raise ValueError("its runs are no whole numbers from 0")
        if sum(runs) != image.height * image.width:
            raise ValueError("its runs do not add up to the picture")
        segmentation = {"size": segmentation["size"], "counts": runs}
    elif any(len(points) < 6 or len(points) % 2 for points in segmentation):
        raise ValueError("a polygon is three points or more, each of two numbers")
    drawn = coco.frPyObjects(segmentation, image.height, image.width)
    return coco.merge(drawn) if isinstance(drawn, list) else drawn


def _uncompressed(text: str) -> list[int]:
    """Return the runs in COCO's compressed form, which the library decodes without a check.

    Each run, from the fourth on less the one before the last, is written in groups of five bits,
    the lowest first; a sixth bit says that more follow. A character is a group plus 48.
    """
    runs: list[int] = []
    value = shift = 0
    for group in (ord(character) - 48 for character in text):
        if not 0 <= group < 64:
            raise ValueError("its counts hold a character that means no run")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("its counts break off")
    return runs


class _LabelmeShape(BaseModel):
    label: str = Field(min_length=1)
    points: list[tuple[Number, Number]]
    shape_type: str = "polygon"


class _Labelme(BaseModel):
    imagePath: str
    imageHeight: int = Field(gt=0)
    imageWidth: int = Field(gt=0)
    shapes: list[_LabelmeShape]


def _read_labelme(source: Path, images: Path | None) -> tuple[list[str], list[Drawing]]:
    paths = sorted(
        path for path in source.iterdir() if path.suffix.lower() == ".json" and not is_hidden(path)
    )
    if not paths:
        raise DataError(f"{source} holds no .json file of labelme; name another folder.")
    files = PictureFiles(images or source)
    names: set[str] = set()
    drawings = []
    for path in paths:
        content = _validated(_Labelme, path)
        names |= {shape.label for shape in content.shapes}
        drawings.append(
            Drawing(
                _one(files, content.imagePath, path),
                content.imageHeight,
                content.imageWidth,
                partial(_draw_labelme, content, path),
            )
        )
    drawn = {drawing.image.stem for drawing in drawings}
    left = [stem for stem in files.stems if stem not in drawn]
    if left:
        logger.warning(
            "%s: %d pictures have no .json file, such as %s; left out.", source, len(left), left[0]
        )
    return sorted(names - {_LABELME_BACKGROUND, _LABELME_IGNORED}), drawings


def _draw_labelme(content: _Labelme, path: Path) -> Iterator[tuple[str | None, NDArray[np.bool_]]]:
    special = {_LABELME_IGNORED: None, _LABELME_BACKGROUND: BACKGROUND}
    for shape in content.shapes:
        picture = Image.new("1", (content.imageWidth, content.imageHeight))
        pencil, points = ImageDraw.Draw(picture), shape.points
        if shape.shape_type == "polygon" and len(points) >= 3:
            pencil.polygon(points, fill=1, outline=1)
        elif shape.shape_type == "rectangle" and len(points) == 2:
            (left, right), (top, bottom) = (sorted(axis) for axis in zip(*points, strict=True))
            pencil.rectangle((left, top, right, bottom), fill=1, outline=1)
        elif shape.shape_type == "circle" and len(points) == 2:
            (x, y), edge = points[0], points[1]
            radius = float(np.hypot(edge[0] - x, edge[1] - y))
            pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
        else:
            raise DataError(
                f"{path} has a {shape.shape_type} of {len(points)} points for {shape.label!r}; "
                "only polygons of three points or more, rectangles and circles have an area."
            )
        yield special.get(shape.label, shape.label), np.asarray(picture)


def _validated(model: type[Any], path: Path) -> Any:
    try:
        return model.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        # Without the names of Python's classes.
        where = ".".join(str(part) for part in first["loc"] if "[" not in str(part)) or "the file"
        raise DataError(
            f"{path} is no file of {'labelme' if model is _Labelme else 'COCO instances'}: "
            f"{where}: {first['msg'].split(' or instance of ')[0].lower()}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}.") from error


def _one(files: PictureFiles, name: str, source: Path) -> Path:
    found = files.find(PureWindowsPath(name).name)
    if len(found) != 1:
        what = "several pictures" if found else "no picture"
        raise DataError(
            f"{source} names {name!r}, and {files.folder} has {what} of that name; say by --images "
            "where the pictures lie."
        )
    return found[0]
