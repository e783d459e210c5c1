"""Imports run downward only: each part may import what this table says, and `common`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Part → folder in the checkout, and the parts it may import.
PARTS = {
    "common": ("larq_dense/common", set()),
    "layers": ("larq_dense/layers", set()),
    "runtime": ("larq_dense/runtime", set()),
    "models": ("larq_dense/models", {"layers"}),
    "tasks": ("larq_dense/tasks", set()),
    # A recipe's `init` may name an entry, whose weights the zoo finds when the run begins.
    "training": ("larq_dense/training", {"models", "tasks", "zoo"}),
    "conversion": ("larq_dense/conversion", {"models", "runtime"}),
    "evaluation": ("larq_dense/evaluation", {"models", "tasks", "runtime"}),
    "zoo": ("zoo", {"training.recipe", "models", "tasks", "runtime"}),
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports of larq_dense, such as `"tasks.registry"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("larq_dense."):
                yield name.removeprefix("larq_dense.")


def violations(part: str, source: str) -> list[str]:
    """Return the imports in `source` that `part` may not make."""
    allowed = {part, "common", "version", "__version__", *PARTS[part][1]}
    return [
        name
        for name in imported(ast.parse(source))
        if not any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
    ]


@pytest.mark.parametrize("part", PARTS)
def test_imports_run_downward(part: str, checkout: Path) -> None:
    files = sorted((checkout / PARTS[part][0]).rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(checkout)): found
        for path in files
        if (found := violations(part, path.read_text(encoding="utf-8")))
    }
    assert not wrong


@pytest.mark.parametrize(
    ("part", "source", "wrong"),
    [
        ("tasks", "from larq_dense.models import build", ["models.build"]),
        ("tasks", "def f():\n    import larq_dense.training.loop", ["training.loop"]),
        ("tasks", "from larq_dense import zoo", ["zoo"]),
        ("zoo", "from larq_dense.training.recipe import Recipe", []),
        ("zoo", "from larq_dense.training import train", ["training.train"]),
        ("models", "from larq_dense.layers.gate import Gate\nimport numpy", []),
    ],
)
def test_the_checker_sees_what_is_wrong(part: str, source: str, wrong: list[str]) -> None:
    assert violations(part, source) == wrong


def test_every_part_is_in_the_table(checkout: Path) -> None:
    folders = {path.parent.name for path in (checkout / "larq_dense").glob("*/__init__.py")}
    assert folders <= PARTS.keys()
