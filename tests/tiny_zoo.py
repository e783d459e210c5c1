"""A copy of a zoo that a test may spoil."""

import shutil
from pathlib import Path

import pytest

from larq_dense import zoo
from larq_dense.zoo import Entry, entries


def take(published: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Copy a zoo's folder, make the copy the zoo, and return its entry `tiny`."""
    shutil.copytree(published, folder)
    monkeypatch.setattr(entries, "ROOT", folder)
    return zoo.find("tiny")
