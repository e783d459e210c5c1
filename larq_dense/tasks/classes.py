"""A task's classes, and the `classes.yaml` that names those of one's own folder."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from larq_dense.common.errors import DataError
from larq_dense.common.yaml_text import parse_yaml
from larq_dense.tasks.encodings import Encoding
from larq_dense.tasks.masks import Color, color_reader, palette_checked
from larq_dense.tasks.names import decode

CLASSES_FILE = "classes.yaml"
_MISSPELT = {"classes.yaml", "classes.yml", "classes.yaml.txt", "classes.yml.txt"}
_IGNORE = 255


@dataclass(frozen=True)
class ClassInfo:
    """One class: its name, and its colour as R, G, B in 0…255.

    Examples:
        >>> ClassInfo("crack", (255, 80, 0)).color
        (255, 80, 0)
    """

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class OwnClasses:
    """What a `classes.yaml` holds: the classes in their order, and how masks show them."""

    classes: tuple[ClassInfo, ...]
    encoding: Encoding


class _ClassEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"\S")
    color: Color
    value: int | None = Field(default=None, ge=0, le=255)


class _ClassesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    classes: list[_ClassEntry] = Field(min_length=2, max_length=255)
    masks: Literal["values", "colors"] = "values"
    ignore: Color | int | None = None

    @property
    def values(self) -> list[int]:
        """The mask value of each class: its own, or its place in the list."""
        return [
            place if entry.value is None else entry.value
            for place, entry in enumerate(self.classes)
        ]


def _problem(content: _ClassesFile) -> str | None:
    names = [entry.name for entry in content.classes]
    colors = [entry.color for entry in content.classes]
    if len(set(names)) < len(names):
        return "two classes have the same name"
    if any(not 0 <= part <= 255 for color in colors for part in color):
        return "a colour is three numbers in 0…255"
    problem = _values_problem if content.masks == "values" else _colors_problem
    return problem(content, names, colors)


def _values_problem(content: _ClassesFile, names: list[str], colors: list[Color]) -> str | None:
    ignore, values = content.ignore, content.values
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        return f"two classes have the value {twice}"
    if isinstance(ignore, tuple):
        return "with masks of values, ignore is a number in 0…255"
    if ignore is not None and not 0 <= ignore <= 255:
        return "the ignore value is a number in 0…255"
    if ignore in values:
        name = names[values.index(ignore)]
        return f"the ignore value {ignore} is also the class {name!r}, for these count from 0"
    return None


def _colors_problem(content: _ClassesFile, names: list[str], colors: list[Color]) -> str | None:
    if any(entry.value is not None for entry in content.classes):
        return "with masks of colours, a class has no value"
    if len(set(colors)) < len(colors):
        twice = next(color for color in colors if colors.count(color) > 1)
        return f"two classes have the colour {list(twice)}"
    if isinstance(content.ignore, int):
        return "with masks of colours, ignore is a colour"
    if content.ignore in colors:
        name = names[colors.index(content.ignore)]
        return f"the colour to ignore is also that of the class {name!r}"
    return None


def _encoding(content: _ClassesFile) -> Encoding:
    colors = [entry.color for entry in content.classes]
    if content.masks == "colors":
        ignored = content.ignore if isinstance(content.ignore, tuple) else None
        reader = color_reader({color: at for at, color in enumerate(colors)}, ignored)
        values = {place: entry.name for place, entry in enumerate(content.classes)}
        return Encoding(CLASSES_FILE, values, frozenset({_IGNORE}), reader=reader)
    values = dict(zip(content.values, (entry.name for entry in content.classes), strict=True))
    ignore = _IGNORE if content.ignore is None else content.ignore
    ignored_values = frozenset({ignore} - values.keys()) if isinstance(ignore, int) else frozenset()
    reader = palette_checked(dict(zip(content.values, colors, strict=True)))
    return Encoding(CLASSES_FILE, values, ignored_values, reader=reader)


def has_classes(root: Path) -> bool:
    """Return whether a folder describes its classes.

    Raises:
        DataError: A file there is called nearly as `classes.yaml`, but is not read.
    """
    if os.path.lexists(root / CLASSES_FILE):
        # Whatever it is: `read_classes` tells what is wrong with a folder or a broken link.
        return True
    if not root.is_dir():
        return False
    for entry in root.iterdir():
        if entry.name.casefold() in _MISSPELT:
            raise DataError(f"{entry} is not read by that name; rename it {CLASSES_FILE}.")
    return False


def read_classes(root: Path) -> OwnClasses:
    """Read the `classes.yaml` of a folder.

    The file holds:

    - `classes`, a list of `{name, color: [r, g, b]}` in the order of the masks' values from 0; a
      class may have its own `value` instead.
    - `masks`: `values` (unless given), or `colors` where masks show each class by its colour.
    - `ignore`: the value that is left out (255 unless given or a class's), or, for masks of
      colours, the colour that is left out (none unless given).

    Raises:
        DataError: The file is missing or wrong.
    """
    path = root / CLASSES_FILE
    try:
        text = decode(path.read_bytes())
        text.encode()
        content = _ClassesFile.model_validate(parse_yaml(text))
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; write one with the names and colours of your "
            "classes."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        # Without the names of Python's classes.
        loc = [str(part) for part in first["loc"] if "[" not in str(part) and part != "int"]
        where = ".".join(loc) or "the file"
        reason = first["msg"].split(" or instance of ")[0].replace("valid dictionary", "mapping")
        reason = reason.replace("valid tuple", "list of three numbers")
        raise DataError(
            f"{path} is wrong at {where}: {reason}; it needs `classes:` (a list of `{{name: …, "
            "color: [red, green, blue]}`) and may have `masks:` and `ignore:`."
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(f"{path} is no text in UTF-8; save it as such.") from error
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply; write it again.") from error
    except (yaml.YAMLError, ValueError) as error:  # the latter for dates that are none
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not valid YAML: {reason}.") from error
    problem = _problem(content)
    if problem:
        raise DataError(f"{path} is wrong: {problem}.")
    classes = tuple(ClassInfo(entry.name, entry.color) for entry in content.classes)
    return OwnClasses(classes, _encoding(content))


def voc_color(index: int) -> tuple[int, int, int]:
    """Return PASCAL VOC's colour of a class: the index's bits, spread over the channels."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> channel) & 1) << (7 - bit)
        index >>= 3
    return channels[0], channels[1], channels[2]
