"""Imports run downward only: each part may import what this table says, and `common`."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

# Part → folder in the checkout, and the parts it may import besides `common`, as CONTRIBUTING.md
# tells.
PARTS = {
    "common": ("larq_dense/common", set()),
    "layers": ("larq_dense/layers", set()),
    "runtime": ("larq_dense/runtime", set()),
    "models": ("larq_dense/models", {"layers", "runtime"}),
    "tasks": ("larq_dense/tasks", set()),
    "quantization": ("larq_dense/quantization", {"layers", "models", "runtime"}),
    "training": ("larq_dense/training", {"models", "tasks", "quantization", "runtime"}),
    "conversion": ("larq_dense/conversion", {"models", "quantization", "runtime"}),
    "evaluation": ("larq_dense/evaluation", {"models", "tasks", "runtime"}),
    "zoo": ("zoo", {"models", "tasks", "training", "runtime"}),
    "latency": (
        "larq_dense/latency",
        {"models", "quantization", "conversion", "evaluation", "zoo", "runtime", "native"},
    ),
}
_ALL = {*PARTS}
PARTS["serving"] = ("larq_dense/serving", {"runtime"})
PARTS["publishing"] = ("larq_dense/publishing", _ALL)
PARTS["experiments"] = ("larq_dense/experiments", _ALL)
PARTS["cli"] = ("cli", {*PARTS})


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


def statements_at_once(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield what a module imports when it is imported: not in functions, nor for types."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef):
            pending += ast.iter_child_nodes(node)


def packages_at_once(tree: ast.Module) -> set[str]:
    """Return the packages that importing a module imports."""
    found = set()
    for node in statements_at_once(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            found.add(node.module or "")
    return {name.split(".")[0] for name in found}


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
        ("zoo", "from larq_dense.publishing import publish", ["publishing.publish"]),
        ("training", "def f():\n    from larq_dense import zoo", ["zoo"]),
        ("models", "from larq_dense.layers.gate import Gate\nimport numpy", []),
    ],
)
def test_the_checker_sees_what_is_wrong(part: str, source: str, wrong: list[str]) -> None:
    assert violations(part, source) == wrong


def test_every_part_is_in_the_table(checkout: Path) -> None:
    folders = {path.parent.name for path in (checkout / "larq_dense").glob("*/__init__.py")}
    assert folders <= PARTS.keys()


def test_no_parts_import_each_other(checkout: Path) -> None:
    graph = {
        part: {
            name.partition(".")[0]
            for path in (checkout / folder).rglob("*.py")
            for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        }
        - {part}
        for part, (folder, _) in PARTS.items()
    }
    list(TopologicalSorter(graph).static_order())


def test_no_modules_import_each_other_at_once(checkout: Path) -> None:
    modules = {}
    for part, (folder, _) in PARTS.items():
        for path in (checkout / folder).glob("*.py"):
            name = f"{part}.{path.stem}".removesuffix(".__init__")
            modules[name] = ast.parse(path.read_text(encoding="utf-8"))
    graph = {
        name: {
            each if each in modules else each.rpartition(".")[0]
            for each in imported(ast.Module([*statements_at_once(tree)], []))
        }
        - {name}
        for name, tree in modules.items()
    }
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_a_cycle_fails(names: tuple[str, ...]) -> None:
    graph = {name: {other} for name, other in zip(names, names[1:] + names[:1], strict=True)}
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph).static_order())


# What the base install brings.
BASE = {"numpy", "PIL", "click", "ai_edge_litert", "larq_dense"}

# What runs, or starts to run, without the extra.
BASE_SIDE = (
    "larq_dense/__init__.py",
    "larq_dense/common/*.py",
    "larq_dense/runtime/*.py",
    "larq_dense/evaluation/__init__.py",
    "larq_dense/latency/*.py",
    "zoo/*.py",
    "cli/*.py",
)


@pytest.mark.parametrize("pattern", BASE_SIDE)
def test_the_base_side_imports_only_the_base(pattern: str, checkout: Path) -> None:
    files = {*checkout.glob(pattern)} - {checkout / "larq_dense/common/keras2.py"}
    assert files
    for path in sorted(files):
        found = packages_at_once(ast.parse(path.read_text(encoding="utf-8")))
        assert found <= BASE | sys.stdlib_module_names, path


def test_imports_in_functions_and_for_types_are_not_at_once() -> None:
    source = """
import numpy as np
try:
    from yaml import load
except ImportError:
    pass
if TYPE_CHECKING:
    import tensorflow as tf
class A:
    import rich
    def f(self):
        import larq
"""
    assert packages_at_once(ast.parse(source)) == {"numpy", "yaml", "rich"}
