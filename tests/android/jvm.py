"""Commands of a JDK, for the tests in this folder."""

import os
import subprocess
from pathlib import Path
from typing import Protocol


class Kotlinc(Protocol):
    """Compiles Kotlin."""

    def __call__(self, sources: list[Path], output: Path, classpath: list[Path] = ...) -> None:
        """Compile files and folders to a jar; a warning fails the test as an error does."""


def run(*command: object) -> str:
    """Run a command and return what it prints; a failure shows all of it."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def join(paths: list[Path]) -> str:
    """Return a class path."""
    return os.pathsep.join(map(str, paths))
