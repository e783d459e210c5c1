"""Pictures named on the command line, and names for what is written about them."""

import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from larq_dense.cli.output import printable
from larq_dense.common.errors import DataError
from larq_dense.common.files import is_special

# What a person calls a picture. Those that nothing here opens are named, not passed over.
_PICTURE = re.compile(
    r"\.(jpe?g?|jfif|a?png|bmp|dib|gif|tiff?|webp|p[bgpnf]m|avif|hei[cf]|hif|jp2|j2k|jxl|tga|ico"
    r"|psd|svg|exr|hdr|dng|cr[23]|nef|arw|raf|orf|rw2)",
    re.IGNORECASE,
)
_VIDEO = re.compile(r"\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|m?ts|wmv|flv|3gp|og[gv])", re.IGNORECASE)
# What `predict` appends to a picture's name.
_WRITTEN = re.compile(r"_(overlay|mask|cutout|probability(_.+)?)$")
_SHOWN = 3


def expand(arguments: Iterable[str], output: Path | None = None) -> list[Path]:
    """Return the pictures that files, folders and globs name, each once, in order.

    A file is taken whatever its name. Of a folder and of what a glob matches, the pictures are
    taken, told by name or content; what is passed over is said. Folders within a folder are
    not searched.

    Args:
        arguments: Files, folders and globs. Where a name with brackets exists, it is that file
            or folder and no pattern.
        output: Where results go: what an earlier run wrote there is no picture to label.

    Raises:
        DataError: A folder holds no picture or cannot be read, or a glob is wrong or matches
            nothing.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        found.update(dict.fromkeys(_expand(argument, output)))
    return list(found)


def _expand(argument: str, output: Path | None) -> list[Path]:
    if not argument:
        raise DataError("a picture's name is empty; name a file or a folder.")
    path = Path(argument)
    if os.path.isdir(path):  # noqa: PTH112  (pathlib raises for a name that is too long)
        try:
            entries = sorted(path.iterdir())
        except OSError as error:
            raise DataError(f"cannot read the folder {argument}: {error.strerror}.") from error
        pictures = _pictures(entries, argument, output)
        if not pictures:
            raise DataError(f"the folder {argument} holds no picture; name another one.")
        return pictures
    if os.path.lexists(path) or not glob.has_magic(argument):
        return [path]
    try:
        matches = sorted(_matches(Path(path.anchor), path.relative_to(path.anchor).parts))
    except ValueError as error:  # such as ** next to other characters
        raise DataError(f"{argument} is no pattern for files: {error}.") from error
    pictures = _pictures(matches, argument, output)
    if not pictures:
        raise DataError(f"no file matches {argument}; check the pattern.")
    return pictures


def _matches(base: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield what a pattern matches; a part that exists as it is written is no pattern."""
    if not parts:
        yield base
        return
    part, *rest = parts
    if os.path.lexists(base / part):
        yield from _matches(base / part, tuple(rest))
    elif glob.has_magic(part):
        for match in base.glob(part):
            yield from _matches(match, tuple(rest))


def _pictures(entries: list[Path], place: str, output: Path | None) -> list[Path]:
    """Return the pictures among a folder's entries, and say what else there is."""
    pictures: list[Path] = []
    own: list[Path] = []
    folders: list[Path] = []
    special: list[Path] = []
    videos: list[Path] = []
    others: list[Path] = []
    for entry in entries:
        if entry.name.startswith("."):  # such as macOS's ._a.jpg
            others.append(entry)
        elif output is not None and _WRITTEN.search(entry.stem) and _is_in(entry, output):
            own.append(entry)
        elif _PICTURE.fullmatch(entry.suffix) or _holds_picture(entry):
            (special if is_special(entry) else pictures).append(entry)
        elif _VIDEO.fullmatch(entry.suffix) and entry.is_file():
            videos.append(entry)
        else:
            (folders if entry.is_dir() else others).append(entry)
    _say(place, others, "which by name and content are no pictures")
    _say(place, videos, "which are videos: name them to label them")
    _say(place, own, "which an earlier run wrote")
    _say(place, special, "which are pipes or devices: name them to read them")
    _say(place, folders, "which are folders: name them, or write 'FOLDER/**/*.jpg'")
    return pictures


def _say(place: str, passed: list[Path], reason: str) -> None:
    if passed:
        shown = ", ".join(each.name for each in passed[:_SHOWN])
        more = f" and {len(passed) - _SHOWN} more" if len(passed) > _SHOWN else ""
        note = f"Note: in {place}, passed over {shown}{more}, {reason}."
        click.echo(printable(note), err=True)


def _is_in(entry: Path, folder: Path) -> bool:
    return os.path.realpath(entry.parent) == os.path.realpath(folder)


def _holds_picture(entry: Path) -> bool:
    """Return whether a file of an unusual name begins as a picture does."""
    from PIL import Image

    if not entry.is_file():
        return False
    try:
        with Image.open(entry):
            return True
    except Exception:  # Pillow's readers raise anything for what is not theirs
        return False


class Names:
    """Names of files to write, none twice and none that is a picture to read."""

    def __init__(self, folder: Path | None = None, pictures: Iterable[Path] = ()) -> None:
        """Prepare.

        Args:
            folder: Where the files go.
            pictures: What is read: nothing is to be written over it.
        """
        inputs = [each for each in pictures if folder is not None and _is_in(each, folder)]
        self._inputs = {_WRITTEN.sub("", each.stem).casefold() for each in inputs if _written(each)}
        self._used: set[str] = set()

    def new(self, stem: str) -> str:
        """Return `stem`, with a number where it was given out before."""
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        taken = self._used | self._inputs
        name = next(
            name for name in itertools.chain([stem], numbered) if name.casefold() not in taken
        )
        self._used.add(name.casefold())
        return name


def _written(picture: Path) -> bool:
    return _WRITTEN.search(picture.stem) is not None


def is_video(argument: str) -> bool:
    """Return whether an argument names a video file, a stream or a camera's number."""
    if argument.isdigit():
        return not os.path.lexists(argument)
    return "://" in argument or _VIDEO.fullmatch(Path(argument).suffix) is not None
