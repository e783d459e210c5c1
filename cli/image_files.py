"""Pictures named on the command line, and pictures written."""

import glob
import io
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from larq_dense.common.errors import DataError

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))


def expand(arguments: Iterable[str]) -> list[Path]:
    """Return the pictures that files, folders and globs name, each once, in order.

    A file is taken whatever its suffix; of a folder, the pictures directly in it.

    Raises:
        DataError: A folder holds no picture, or a glob is wrong or matches nothing.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        found.update(dict.fromkeys(_expand(argument)))
    return list(found)


def _expand(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        pictures = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
        if not pictures:
            raise DataError(f"the folder {argument} holds no picture; name another one.")
        return pictures
    if path.exists() or not glob.has_magic(argument):
        return [path]
    try:
        matches = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except ValueError as error:  # such as ** with something beside it
        raise DataError(f"{argument} is no pattern for files: {error}.") from error
    files = sorted(match for match in matches if match.is_file())
    if not files:
        raise DataError(f"no file matches {argument}; check the pattern.")
    return files


class Names:
    """Names of files to write, none twice."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def new(self, stem: str) -> str:
        """Return `stem`, with a number where it was given out before."""
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([stem], numbered) if name not in self._used)
        self._used.add(name)
        return name


def write_png(path: Path, pixels: Any, palette: Any = None) -> None:
    """Write a PNG, whole or not at all.

    Args:
        path: The file.
        pixels: uint8 `[height, width, 3]`, or labels `[height, width]` with a palette.
        palette: uint8 `[classes, 3]`, the colours in which a label map is shown.
    """
    from PIL import Image

    from larq_dense.common.files import write_bytes

    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette(palette.tobytes())
    png = io.BytesIO()
    picture.save(png, "PNG")
    write_bytes(path, png.getvalue())
