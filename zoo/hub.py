"""Models on the Hugging Face Hub, by addresses such as `hf://owner/name` and `hf://owner/name@v1`.

What is there has an entry's files. Only those are fetched, each of a kind that holds data and no
code, and none is used whose SHA-256 is not the one that the entry's list gives.
"""

import contextlib
import errno
import functools
import json
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.common.extra import needs_extra
from larq_dense.zoo.description import DESCRIPTION
from larq_dense.zoo.entries import HUB, Entry, file_name, verified

if TYPE_CHECKING:
    from types import ModuleType

_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^@\s]+))?")
_NO_RIGHT = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NAME = re.compile(r"\w[\w.-]*")

# Of an entry, and of its int8 variant.
_FILES = (
    "recipe.yaml",
    "parent-*.yaml",
    "classes.yaml",
    "metrics.json",
    "data.json",
    "card.md",
    "weights.safetensors",
    "weights.sha256",
)


class Address(NamedTuple):
    """Where a model is.

    Attributes:
        repo: Owner and name.
        revision: A branch, a tag or a commit; None for the newest.
    """

    repo: str
    revision: str | None


def parse(address: str) -> Address:
    """Take an address apart.

    Raises:
        LarqDenseError: It is none.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise LarqDenseError(
            f"{address} is no address of a model; write hf://OWNER/NAME or hf://OWNER/NAME@REVISION."
        )
    return Address(match["repo"], match["revision"])


def files_of(name: str) -> list[str]:
    """Return the patterns of what is kept on the hub of the entry `name`."""
    own = [DESCRIPTION, *_FILES, file_name(name)]
    return [*own, *(f"int8/{each}" for each in (*_FILES, file_name(name, int8=True)))]


@functools.cache
def fetch(address: str) -> Entry:
    """Return a model of the hub as an entry in the hub's own cache.

    Without a network, or with `HF_HUB_OFFLINE=1`, what the cache holds is used. A process asks the
    hub once for each address.

    Raises:
        MissingExtraError: The extra `[hub]` is not installed.
        WeightsError: A file is damaged, or its SHA-256 is not the one that is published.
        LarqDenseError: There is no such model, it cannot be reached, or it is none of larq_dense's.
    """
    repo, revision = parse(address)
    with talking_to_hub(address) as hub:
        # First what says whether it is a model of ours: another's may be of any size.
        found = hub.snapshot_download(repo, revision=revision, allow_patterns=[DESCRIPTION])
        folder = Path(found)
        name = _name(folder / DESCRIPTION, address)
        # The folder is called as the commit, so that all files are of one.
        hub.snapshot_download(repo, revision=folder.name, allow_patterns=files_of(name))
    entry = Entry(folder, name)
    _verify(entry, address)
    return entry


def _name(description: Path, address: str) -> str:
    try:
        name = json.loads(description.read_text(encoding="utf-8"))["name"]
    except FileNotFoundError as error:
        raise LarqDenseError(
            f"{address} is no model of larq_dense: it holds no {description.name}; push one by "
            "`larq-dense zoo push`."
        ) from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise LarqDenseError(f"{address}: its {description.name} is damaged ({error}).") from error
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise LarqDenseError(f"{address}: its {description.name} has a wrong name, {name!r}.")
    return name


def _verify(entry: Entry, address: str) -> None:
    """Compare every file of weights and every converted file with its published SHA-256."""
    if not entry.is_published:
        raise WeightsError(f"{address} holds no {entry.checksum_file.name}; push it again.")
    for part in (entry, entry.int8()):
        paths = [*part.folder.glob("*.safetensors"), *part.folder.glob("*.tflite")]
        for path in sorted(paths):
            try:
                expected = part.checksums()[path.name]
            except (OSError, ValueError, KeyError) as error:
                raise WeightsError(
                    f"{address} names no SHA-256 for {path.name}; push it again."
                ) from error
            fix = f"if {path.resolve()} is no whole copy, remove it and try again"
            verified(path, path.read_bytes(), expected, fix)


@contextlib.contextmanager
def talking_to_hub(address: str) -> "Iterator[ModuleType]":
    """Give huggingface_hub; what goes wrong in the block becomes one sentence.

    Raises:
        MissingExtraError: The extra `[hub]` is not installed.
        LarqDenseError: The hub cannot be reached, or refuses.
    """
    with needs_extra(f"an address {HUB}…", "hub"):
        import huggingface_hub as hub
        from huggingface_hub import errors, utils
    try:
        with _bars_if_watched(utils):
            yield hub
    except LarqDenseError:
        raise
    except errors.RepositoryNotFoundError as error:
        raise LarqDenseError(
            f"there is no model {address} on the hub, or it is private; check the name, or log in "
            "by `hf auth login`."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise LarqDenseError(
            f"{address}: there is no such revision; name a branch, a tag or a commit."
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise LarqDenseError(
                f"the hub is busy or fails for now ({status}), so that {address} cannot be had; "
                "try again later."
            ) from error
        if status not in _NO_RIGHT:
            raise LarqDenseError(_said(address, error)) from error
        raise LarqDenseError(
            f"the hub refuses {address}: the token is missing or has not the right; log in by "
            "`hf auth login`, or set HF_TOKEN."
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise LarqDenseError(
            f"the hub cannot be reached, and {address} is not in the cache; check the network, and "
            "that HF_HUB_OFFLINE is not set."
        ) from error
    except OSError as error:
        # Of what fails on the way there is no file.
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise LarqDenseError(_said(address, error)) from error
        raise LarqDenseError(
            f"cannot keep {address} in the cache {hub.constants.HF_HUB_CACHE}: {error.strerror}; "
            "make room, or name another folder by HF_HOME."
        ) from error
    # The library's HTTPError is that of whatever it speaks HTTP by.
    except (errors.HTTPError, ValueError) as error:
        raise LarqDenseError(_said(address, error)) from error


def _said(address: str, error: Exception) -> str:
    """Return what the hub or its library says, on one line."""
    return f"the hub and {address}: {' '.join(str(error).split())[:300]}"


@contextlib.contextmanager
def _bars_if_watched(utils: Any) -> Iterator[None]:
    """Turn the hub's progress bars off while the block runs where nobody watches."""
    if sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()
