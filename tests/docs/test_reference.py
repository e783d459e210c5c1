"""The API reference: every public name is in it, with what it takes and gives and an example."""

import ast
import doctest
import functools
import importlib
import inspect
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import larq_dense
from larq_dense import zoo

pytest.importorskip("starlette", reason="the server comes with the extras [serve] and [test]")

PACKAGES = (
    "zoo",
    "runtime",
    "models",
    "layers",
    "tasks",
    "training",
    "evaluation",
    "quantization",
    "conversion",
    "publishing",
    "serving",
)
# Dictionaries, which have no docstring of their own.
REGISTRIES = {"ENCODERS", "DECODERS"}


def public_names() -> list[tuple[str, str]]:
    modules = {name: importlib.import_module(f"larq_dense.{name}") for name in PACKAGES}
    found = [(name, each) for name, module in modules.items() for each in module.__all__]
    of_common = [("common.labels", "Prediction")]
    of_common += [("common.images", name) for name in ("Preprocessing", "overlay", "read_image")]
    return [*found, *of_common, ("", "load")]


LOAD = functools.cache(zoo.load)
NAMES = [(package, name) for package, name in public_names() if name not in REGISTRIES]


def value_of(package: str, name: str) -> Any:
    return getattr(importlib.import_module(f"larq_dense.{package}".rstrip(".")), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_its_page(checkout: Path, package: str) -> None:
    page = (checkout / "docs" / "api" / f"{package}.md").read_text(encoding="utf-8")
    listed = re.findall(rf"^::: larq_dense\.{package}\.(?:\w+\.)?(\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(getattr(larq_dense, package).__all__)


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda part: part)
def test_its_docstring_tells_what_it_takes_and_gives(package: str, name: str) -> None:
    value = value_of(package, name)
    text = inspect.getdoc(value) or ""
    assert "Examples:\n" in text and ">>> " in text
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        for argument in signature.parameters:
            assert re.search(rf"^ {{4}}\*{{0,2}}{argument}: ", text, re.MULTILINE), argument
        if signature.return_annotation not in ("None", None):
            # A yes or no needs no more than its first line.
            assert re.search(r"^(Returns:|Whether )", text, re.MULTILINE)


def described() -> list[tuple[str, Any, str]]:
    """Return public functions and methods, each with the text that describes it on its page."""
    found = []
    for package, name in NAMES:
        value = value_of(package, name)
        if inspect.isfunction(value):
            found.append((name, value, inspect.getdoc(value) or ""))
            continue
        for key, member in vars(value).items() if inspect.isclass(value) else ():
            function = inspect.unwrap(getattr(member, "fget", getattr(member, "__func__", member)))
            made = key in ("__init__", "__post_init__")
            # Not what `dataclass` and `Protocol` write.
            ours = inspect.isfunction(function) and function.__module__.startswith("larq_dense")
            ours = ours and Path(inspect.getfile(function)).is_file()
            if ours and (not key.startswith("_") or made) and key not in ("build", "get_config"):
                about = inspect.getdoc(value if made else function) or ""
                found.append((f"{name}.{key}", function, about))
    return found


DESCRIBED = described()


@pytest.mark.parametrize(("name", "function", "text"), DESCRIBED, ids=[x[0] for x in DESCRIBED])
def test_its_docstring_tells_shapes_and_errors(name: str, function: Any, text: str) -> None:
    assert text
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    if any(isinstance(node, ast.Raise) and node.exc for node in ast.walk(tree)):
        assert "Raises:\n" in text
    types = [str(each) for each in inspect.get_annotations(function).values()]
    is_layer = function.__module__.startswith("larq_dense.layers") and name.endswith(".call")
    if is_layer or any(re.search("ndarray|NDArray|Tensor", each) for each in types):
        owner = value_of(*next(each for each in NAMES if each[1] == name.partition(".")[0]))
        text += inspect.getdoc(owner) or ""
        # In brackets, or in the description that it points to.
        assert re.search(r"`\[|`\(1, |[Ss]ee `|shape", text)


@pytest.fixture(scope="module")
def workplace(tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder that holds what the examples speak of."""
    from larq_dense.conversion import convert

    folder = tmp_path_factory.mktemp("workplace")
    picture = Path(__file__).resolve().parents[2] / "docs" / "images" / "cat.jpg"
    shutil.copyfile(picture, folder / "photo.jpg")
    shutil.copyfile(zoo.find("ecssd").tflite(), folder / "ecssd.tflite")
    shutil.copyfile(zoo.find("ecssd").tflite(int8=True), folder / "ecssd_int8.tflite")
    shutil.copytree(tiny_run, folder / "run")
    convert(zoo.load(folder / "run")).save(folder / "run.tflite")
    shutil.copytree(tiny_data / "people", folder / "people")
    shutil.copytree(tiny_data / "people", folder / "cracks")
    for mask in (folder / "cracks" / "masks").glob("*.png"):
        Image.fromarray(np.asarray(Image.open(mask)) // 255).save(mask)
    colors = {"background": [0, 0, 0], "crack": [255, 80, 0]}
    classes = [{"name": name, "color": color} for name, color in colors.items()]
    (folder / "cracks" / "classes.yaml").write_text(yaml.safe_dump({"classes": classes}))
    source = {"folder": "cracks", "split": "train"}
    recipe = {
        "name": "cracks",
        "task": "folder",
        "model": {"encoder": "compact_s", "decoder": "compact_s"},
        "input": {"height": 32, "width": 32},
        "crop": [32, 32],
        "batch_size": 2,
        "steps": 1,
        "data": {"train": [source], "validation": [{**source, "split": "val"}]},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture(autouse=True)
def _registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what examples register."""
    from larq_dense.models import registry as models
    from larq_dense.tasks import data_sets
    from larq_dense.tasks import registry as tasks

    for module, name in (
        (models, "ENCODERS"),
        (models, "DECODERS"),
        (data_sets, "_data_sets"),
        (tasks, "_TASKS"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


@pytest.mark.parametrize("package", sorted({package for package, _ in NAMES}))
def test_the_examples_run(package: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    # One network for all examples that load the same one.
    monkeypatch.setattr(zoo, "load", LOAD)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for _, name in (each for each in NAMES if each[0] == package):
        value = value_of(package, name)
        module = inspect.getmodule(value)
        assert module is not None
        text = inspect.getdoc(value) or ""
        names = {**vars(module), name: value}
        runner.run(doctest.DocTestParser().get_doctest(text, names, name, module.__file__, None))
    assert runner.summarize(verbose=False).failed == 0


def test_a_wrong_example_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None))
    assert runner.summarize(verbose=False).failed == 1
    assert "Expected" in capsys.readouterr().out
