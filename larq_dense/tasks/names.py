"""Names of files as people write them in lists and as systems spell them on disk."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff"),
        *(".webp", ".gif", ".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
        *(".heic", ".heif", ".hif"),  # by an extra, which is named where it is missing
    )
)
# What systems leave in folders, besides names that begin with a dot.
_LEFT = {"thumbs.db", "desktop.ini", "icon\r", "@eadir", "__macosx"}
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_BLANKS = " \t\v\f\u00a0\ufeff\u200b"
_QUOTES = ('""', "''", "``", "\u201c\u201d", "\u2018\u2019")
_SEPARATORS = re.compile(r"\s*[\t,;|]\s*|\s+")


def is_hidden(path: Path) -> bool:
    """Whether a file is a system's own, such as `.DS_Store` or macOS's `._name.jpg`."""
    return path.name.startswith(".") or path.name.lower() in _LEFT


def normal(name: str) -> str:
    """Return a name in composed Unicode; macOS decomposes it."""
    return unicodedata.normalize("NFC", name)


def fold(name: str) -> str:
    """Return a name without the difference of capitals."""
    return normal(name).casefold()


def spellings(name: str) -> Iterator[str]:
    """Yield what a name in a list may be on disk: without folders, without its ending."""
    for text in (name, _as_windows_wrote(name)):
        if text is None:
            continue
        last = PurePosixPath(text.replace("\\", "/")).name
        for each in (text, last):
            yield normal(each)
            if Path(each).suffix.lower() in IMAGE_SUFFIXES:
                yield normal(Path(each).stem)


def _as_windows_wrote(name: str) -> str | None:
    """Return a name that is no UTF-8 as a Windows program meant it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return None


def read_lines(path: Path) -> list[str]:
    """Return a list's lines as written by any editor: without blanks, quotes and byte-order marks.

    Bytes that are no UTF-8 are kept as the file system's names keep them.
    """
    lines = re.split(r"\r\n|\r|\n", decode(path.read_bytes()))
    return [_unquoted(line.strip(_BLANKS)) for line in lines]


def decode(content: bytes) -> str:
    """Return the text of a file as any editor writes it; bytes that are no UTF-8 as surrogates."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.removeprefix(mark).decode(encoding, "replace")
    # UTF-16 without a mark: every other byte of plain text is 0.
    for encoding, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if zeros and zeros.count(0) > len(zeros) / 2:
            return content.decode(encoding, "replace")
    return content.decode("utf-8", "surrogateescape")


def _unquoted(text: str) -> str:
    for quotes in _QUOTES:
        if len(text) > 1 and text[0] == quotes[0] and text[-1] == quotes[1]:
            inner = text[1:-1]
            return text if quotes[0] in inner else inner.strip(_BLANKS)
    return text


def columns(line: str) -> Iterator[tuple[str, str]]:
    """Yield every way to read a line as two names, for names may hold blanks themselves."""
    for gap in _SEPARATORS.finditer(line):
        if gap.start() > 0 and gap.end() < len(line):
            yield _unquoted(line[: gap.start()]), _unquoted(line[gap.end() :])
