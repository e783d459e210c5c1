"""A task's classes, and the `classes.yaml` that names those of one's own folder."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from larq_dense.common.errors import DataError

CLASSES_FILE = "classes.yaml"


@dataclass(frozen=True)
class ClassInfo:
    """One class: its name, and its colour as R, G, B in 0…255."""

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class OwnClasses:
    """What a `classes.yaml` holds: the classes by mask value, and the value to leave out."""

    classes: tuple[ClassInfo, ...]
    ignore_value: int


class _ClassEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1)
    color: tuple[int, int, int]


class _ClassesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    classes: list[_ClassEntry] = Field(min_length=2, max_length=255)
    ignore: int = Field(default=255, ge=0, le=255)


def _problem(content: _ClassesFile) -> str | None:
    names = [entry.name for entry in content.classes]
    if len(set(names)) < len(names):
        return "two classes have the same name"
    if any(not 0 <= part <= 255 for entry in content.classes for part in entry.color):
        return "a colour is three numbers in 0…255"
    if content.ignore < len(names):
        name = names[content.ignore]
        return (
            f"the ignore value {content.ignore} is also the class {name!r}, for these count from 0"
        )
    return None


def read_classes(root: Path) -> OwnClasses:
    """Read the `classes.yaml` of a folder.

    The file holds `classes`, a list of `{name, color: [r, g, b]}` in the order of the masks'
    values from 0, and `ignore`, the value that is left out (255 unless given).

    Raises:
        DataError: The file is missing or wrong.
    """
    path = root / CLASSES_FILE
    try:
        content = _ClassesFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; write one with the names and colours of your "
            "classes."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{path} is wrong at {where}: {first['msg']}; it needs `classes:` (a list of name "
            "and color) and may have `ignore:`."
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # the latter for bytes or dates that are none
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not valid YAML: {reason}.") from error
    problem = _problem(content)
    if problem:
        raise DataError(f"{path} is wrong: {problem}.")
    classes = tuple(ClassInfo(entry.name, entry.color) for entry in content.classes)
    return OwnClasses(classes, content.ignore)
