"""Entries on disk: finding them, their files, and weights that are verified."""

import fnmatch
from dataclasses import dataclass
from pathlib import Path

from larq_dense.common.errors import LarqDenseError, UnknownNameError, WeightsError
from larq_dense.common.files import sha256
from larq_dense.training.run import RECIPE, Run, find_run

ROOT = Path(__file__).parent
BASELINE = "baseline"
"""The folder in an entry's that holds its full-precision baseline."""
HUB = "hf://"
"""How an address on the Hugging Face Hub begins."""


@dataclass(frozen=True)
class Entry(Run):
    """A published run.

    Attributes:
        folder: Holds a run's `recipe.yaml`, `metrics.json` and `log.csv`, next to `card.md`,
            `weights.safetensors`, the converted file `NAME.tflite`, and `weights.sha256` with a
            line for each of these two, as `sha256sum --check` reads it.
        name: The folder's name.

    Examples:
        >>> from larq_dense import zoo
        >>> entry = zoo.find("ecssd")
        >>> entry.tflite().name, entry.is_published
        ('ecssd.tflite', True)
    """

    name: str

    @property
    def title(self) -> str:
        """What its model is called."""
        return self.name

    @property
    def notice(self) -> str:
        """What the weights have learned from, and which benchmark they never saw."""
        from larq_dense.zoo.provenance import notice

        return notice(self)

    def int8(self) -> "Entry":
        """Return the entry's int8 variant; `is_published` says whether there is one."""
        return Entry(self.folder / "int8", self.name)

    def baseline(self) -> "Entry":
        """Return the full-precision baseline, of which figures are kept, but no weights."""
        return Entry(self.folder / BASELINE, self.name)

    @property
    def card_file(self) -> Path:
        """What the entry is, for people."""
        return self.folder / "card.md"

    @property
    def weights_file(self) -> Path:
        """The published weights."""
        return self.folder / "weights.safetensors"

    @property
    def checksum_file(self) -> Path:
        """Their SHA-256, in the form that `sha256sum --check` reads."""
        return self.folder / "weights.sha256"

    def card(self) -> str:
        """Return the card's text.

        Raises:
            LarqDenseError: The entry has none, or it is damaged.
        """
        if not self.card_file.exists():
            raise LarqDenseError(f"the entry {self.name!r} has no card; publish it first.")
        try:
            return self.card_file.read_text(encoding="utf-8")
        except ValueError as error:
            raise LarqDenseError(f"{self.card_file} is no text; publish it again.") from error

    @property
    def is_published(self) -> bool:
        """Whether the entry has weights, not only a recipe."""
        return self.checksum_file.is_file()

    def expected_sha256(self) -> str:
        """Return the SHA-256 that the weights must have, in hexadecimal.

        Raises:
            WeightsError: The entry has no weights.
        """
        try:
            return self.checksums()[self.weights_file.name]
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(
                f"the entry {self.name!r} has no published weights; pass weights=None to start "
                "from random ones."
            ) from error

    def weights(self) -> Path:
        """Return the file of published weights.

        Raises:
            WeightsError: The file is missing, or has another SHA-256.
        """
        expected, path = self.expected_sha256(), self.weights_file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"cannot read {path}: {error.strerror}; install larq-dense again."
            ) from error
        return verified(path, content, expected)

    def tflite(self, int8: bool = False) -> Path:
        """Return the entry's converted file, verified. This needs no TensorFlow.

        `larq-dense convert NAME` makes the same bytes from the weights.

        Args:
            int8: The file of the variant that computes in int8 what is not binary.

        Raises:
            WeightsError: The entry has no such file, or the file has another SHA-256.
        """
        entry = self.int8() if int8 else self
        path = entry.folder / file_name(self.name, int8)
        try:
            expected, content = entry.checksums()[path.name], path.read_bytes()
        except (OSError, ValueError, KeyError) as error:
            kind = "int8 variant" if int8 and not entry.is_published else "converted file"
            raise WeightsError(
                f"the entry {self.name!r} ships no {kind}; make one by `larq-dense convert "
                f"{self.name}{' --int8' * int8}`."
            ) from error
        return verified(path, content, expected)

    def ships_tflite(self, int8: bool = False) -> bool:
        """Whether the entry brings its converted file along."""
        entry = self.int8() if int8 else self
        return (entry.folder / file_name(self.name, int8)).is_file()

    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each file that has one.

        Raises:
            OSError: There is no such list.
            ValueError: It is damaged.
        """
        lines = self.checksum_file.read_text(encoding="utf-8").splitlines()
        pairs = [line.split() for line in lines]
        return {name: digest for digest, name in pairs}


def verified(
    path: Path, content: bytes, expected: str, fix: str = "install larq-dense again"
) -> Path:
    """Return a file's path if its content has the expected SHA-256.

    Raises:
        WeightsError: It has another one.
    """
    found = sha256(content)
    if found != expected:
        raise WeightsError(
            f"{path} is damaged or not the published file: its SHA-256 is {found[:12]}…, not "
            f"{expected[:12]}…; {fix}."
        )
    return path


def file_name(name: str, int8: bool = False) -> str:
    """Return what the converted file of the entry `name` is called, as `convert` calls it."""
    return f"{name}_int8.tflite" if int8 else f"{name}.tflite"


def is_address(name: str | Path) -> bool:
    """Whether a model's name is an address on the hub; see `zoo.hub`."""
    return str(name).startswith(HUB)


def find(name: str | Path) -> Entry:
    """Return the entry called `name`, the one at an address `hf://…`, or else in the folder `name`.

    Args:
        name: An entry's name, or a folder's path.

    Returns:
        The entry, none of whose files has been read.

    Raises:
        UnknownNameError: There is neither; the nearest names are offered.

    Examples:
        >>> from larq_dense import zoo
        >>> zoo.find("ecssd").weights_file.name
        'weights.safetensors'
    """
    if is_address(name):
        from larq_dense.zoo.hub import fetch

        return fetch(str(name))
    known = names()
    if str(name) in known:
        return Entry(ROOT / str(name), str(name))
    entry = Entry(Path(name), Path(name).resolve().name)
    if entry.recipe_file.is_file():
        return entry
    raise UnknownNameError("zoo entry", str(name), known)


def find_trained(source: str) -> Run:
    """Return the entry called `source`, or else the entry or the run in the folder `source`.

    Args:
        source: An entry's name, or a folder's path.

    Returns:
        An `Entry`, or else a run.

    Raises:
        UnknownNameError: It is no folder, and there is no such entry; the nearest are offered.
        WeightsError: There is no such run, or the folder is none.

    Examples:
        >>> from larq_dense import zoo
        >>> zoo.find_trained("ecssd").recipe().task
        'ecssd'
    """
    if source in names() or is_address(source):
        return find(source)
    folder = Path(source)
    if not folder.exists() and "/" not in source:
        raise UnknownNameError("zoo entry", source, names())
    if folder.is_dir() and not Run(folder).recipe_file.is_file():
        raise WeightsError(
            f"{source} is neither an entry's folder nor a run's: it holds no {RECIPE}."
        )
    entry = Entry(folder, folder.resolve().name)
    return entry if entry.is_published else find_run(source)


def names(pattern: str = "*") -> list[str]:
    """Return the names of all entries that match a shell pattern, sorted.

    Args:
        pattern: As shells have it: `*` for any letters, `?` for one.

    Returns:
        The names.

    Examples:
        >>> from larq_dense import zoo
        >>> zoo.list_entries("k*")
        ['kitti_road']
    """
    found = (path.parent.name for path in ROOT.glob(f"*/{RECIPE}"))
    return sorted(name for name in found if fnmatch.fnmatchcase(name, pattern))
