"""Entries on disk: finding them, their files, and weights that are fetched and verified."""

import fnmatch
import http.client
import json
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.errors import LarqDenseError, UnknownNameError, WeightsError
from larq_dense.common.files import sha256, write_bytes

if TYPE_CHECKING:
    from larq_dense.common.images import Preprocessing
    from larq_dense.runtime import ModelSpec
    from larq_dense.tasks import Task
    from larq_dense.training.recipe import Recipe

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One folder of the zoo.

    Attributes:
        name: The folder's name.
        folder: Holds `recipe.yaml`, `metrics.json`, `log.csv`, `card.md`, `weights.sha256` and
            either `weights.safetensors` or `weights.url`.
    """

    name: str
    folder: Path

    def recipe(self) -> "Recipe":
        """Return the recipe that trained the entry."""
        from larq_dense.training.recipe import Recipe

        return Recipe.load(self.folder / "recipe.yaml")

    def task(self) -> "Task":
        """Return what the entry is for."""
        return self.recipe().get_task(self.folder)

    def spec(self, preprocessing: "Preprocessing | None" = None) -> "ModelSpec":
        """Describe the entry's model; at its own input size, or with another preprocessing."""
        from larq_dense.runtime import ModelSpec
        from larq_dense.zoo.provenance import notice

        preprocessing = preprocessing or self.recipe().preprocessing
        return ModelSpec.for_task(self.name, self.task(), preprocessing, notice(self))

    def metrics(self) -> dict[str, Any]:
        """Return what was measured, or an empty dictionary for an entry not measured yet.

        Raises:
            LarqDenseError: The file is damaged.
        """
        path = self.folder / "metrics.json"
        if not path.exists():
            return {}
        try:
            measured: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LarqDenseError(
                f"{path} is damaged ({error}); install larq-dense or publish the entry again."
            ) from error
        return measured

    def int8(self) -> "Entry":
        """Return the entry's variant in eight bits; `is_published` says whether there is one."""
        return Entry(self.name, self.folder / "int8")

    def twin(self) -> "Entry":
        """Return the full-precision twin, of which figures are kept, but no weights."""
        return Entry(self.name, self.folder / "twin")

    @property
    def log(self) -> Path:
        """The file of validation scores while it trained; older entries have none."""
        return self.folder / "log.csv"

    def card(self) -> str:
        """Return the card's text.

        Raises:
            LarqDenseError: The entry has none.
        """
        path = self.folder / "card.md"
        if not path.exists():
            raise LarqDenseError(f"the entry {self.name!r} has no card; publish it first.")
        return path.read_text(encoding="utf-8")

    @property
    def is_published(self) -> bool:
        """Whether the entry has weights, not only a recipe."""
        return (self.folder / "weights.sha256").is_file()

    def expected_sha256(self) -> str:
        """Return the SHA-256 that the weights must have, in hexadecimal.

        Raises:
            WeightsError: The entry has no weights.
        """
        path = self.folder / "weights.sha256"
        try:
            return path.read_text(encoding="utf-8").split()[0]
        except (OSError, ValueError, IndexError) as error:
            raise WeightsError(
                f"the entry {self.name!r} has no published weights; pass weights=None to start "
                "from random ones."
            ) from error

    def weights(self) -> Path:
        """Return the weight file, fetched first where the entry holds only its address.

        Raises:
            WeightsError: The file is missing, cannot be fetched, or has another SHA-256.
        """
        expected = self.expected_sha256()
        path = self.folder / "weights.safetensors"
        address = self.folder / "weights.url"
        if not path.exists() and address.exists():
            return _fetch(address.read_text(encoding="utf-8").strip(), expected)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"cannot read {path}: {error.strerror}; install larq-dense again."
            ) from error
        _verify(content, expected, str(path), "install larq-dense again")
        return path


def find(name: str | Path) -> Entry:
    """Return the entry called `name`, or else the one in the folder `name`.

    Raises:
        UnknownNameError: There is neither; the nearest names are offered.
    """
    known = names()
    if str(name) in known:
        return Entry(str(name), ROOT / str(name))
    folder = Path(name)
    if (folder / "recipe.yaml").is_file():
        return Entry(folder.resolve().name, folder)
    raise UnknownNameError("zoo entry", str(name), known)


def names(pattern: str = "*") -> list[str]:
    """Return the names of all entries that match a shell pattern, sorted."""
    found = (path.parent.name for path in ROOT.glob("*/recipe.yaml"))
    return sorted(name for name in found if fnmatch.fnmatchcase(name, pattern))


def cache_folder() -> Path:
    """Return the user's cache folder for fetched weights (it may not exist yet)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "larq_dense"


def _verify(content: bytes, expected: str, where: str, mend: str) -> None:
    found = sha256(content)
    if found != expected:
        raise WeightsError(
            f"{where} is damaged or not the published file: its SHA-256 is {found[:12]}…, not "
            f"{expected[:12]}…; {mend}."
        )


def _fetch(url: str, expected: str) -> Path:
    """Return the cached file with this SHA-256, downloading it where it is not there."""
    path = cache_folder() / f"{expected}.safetensors"
    if path.exists() and sha256(path.read_bytes()) == expected:
        return path
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            content: bytes = response.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(f"cannot fetch the weights from {url}: {reason}; try later.") from error
    _verify(content, expected, url, "try again, or report it where the entry was published")
    write_bytes(path, content)
    return path
