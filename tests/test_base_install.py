"""The base install: what works without the extra, and what says that it needs it.

Each test runs a Python that sees the standard library, this package, and the files of what
`setup.cfg` requires without an extra, down to the last requirement; nothing else is to be found.
"""

import configparser
import io
import json
import shutil
import subprocess
import sys
import urllib.request
from importlib.metadata import Distribution, distribution
from pathlib import Path

import click
import numpy as np
import pytest
import tiny_models as tiny
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import larq_dense
from larq_dense import Predictor, cli, native, zoo
from larq_dense.runtime import xnor

# Of the extra's packages, those that this package imports.
EXTRA = ("tensorflow", "tf_keras", "larq", "larq_zoo", "larq_compute_engine", "keras_cv")
EXTRA += ("tensorflow_model_optimization", "cityscapesscripts", "py_sod_metrics", "pydantic")
EXTRA += ("yaml", "rich", "matplotlib", "skimage", "safetensors", "filelock")
EXTRA += ("starlette", "uvicorn", "python_multipart", "prometheus_client", "huggingface_hub")

BASE_PARTS = ("common", "runtime", "latency", "zoo", "cli")
BASE_MODULES = ("version", "evaluation", "evaluation.complexity", "training", "training.run")

CLI = "from larq_dense.cli import main; main(prog_name='larq-dense')"

needs_runtime = pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))


def required(checkout: Path, extra: str | None = None) -> list[str]:
    """Return the names of what the base install or an extra requires."""
    settings = configparser.ConfigParser()
    settings.read(checkout / "setup.cfg", encoding="utf-8")
    if extra is None:
        lines = settings["options"]["install_requires"].split("\n")
    else:
        lines = settings["options.extras_require"][extra].split("\n")
    return [Requirement(line).name for line in lines if line]


def closure(names: list[str]) -> dict[str, Distribution]:
    """Return the distributions of these names, and of all that they require in turn."""
    found: dict[str, Distribution] = {}
    pending = list(names)
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in found:
            found[name] = distribution(name)
            lines = map(Requirement, found[name].requires or [])
            wanted = [each for each in lines if not each.marker or each.marker.evaluate()]
            pending += [each.name for each in wanted]
    return found


def link_packages(folder: Path, packages: dict[str, Distribution]) -> None:
    """Make links to the files of these distributions in a folder of packages."""
    for each in packages.values():
        for file in each.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                link = folder / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(str(file.locate())))


@pytest.fixture(scope="session")
def site(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of packages that holds the base install and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    link_packages(folder, closure(required(checkout)))
    without_caches = shutil.ignore_patterns("__pycache__")
    packages = ((larq_dense, ""), (zoo, "zoo"), (cli, "cli"), (native, "native"))
    for package, place in packages:
        source, target = Path(str(package.__file__)).parent, folder / "larq_dense" / place
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=without_caches)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    tiny.converted()[1].save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(tiny.pictures()[0]).save(path)
    return path


def run(site: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program with the base install: isolated, and without this environment's packages."""
    start = f"import sys; sys.path.insert(0, {str(site)!r}); "
    command = [sys.executable, "-I", "-S", "-B", "-c", start + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def succeed(site: Path, program: str, *arguments: object) -> str:
    """Run a program that must succeed and return what it printed."""
    done = run(site, program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_base_requires_little(checkout: Path) -> None:
    assert required(checkout) == ["ai-edge-litert", "numpy", "pillow", "click"]


def test_nothing_of_the_extra_is_to_be_found(site: Path) -> None:
    program = "import importlib.util as u; print(*[u.find_spec(n) for n in sys.argv[1:]])"
    assert set(succeed(site, program, *EXTRA).split()) == {"None"}


def test_every_light_module_is_imported_and_every_other_is_refused_with_a_sentence(
    site: Path,
) -> None:
    program = """
import importlib
from larq_dense.common.errors import MissingExtraError
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except MissingExtraError as error:
        extra = "serve" if name.startswith("larq_dense.serving") else "tensorflow"
        assert isinstance(error, ImportError) and f"pip install '.[{extra}]'" in str(error), error
        print(name.removeprefix("larq_dense."))
    except ModuleNotFoundError as error:
        # A module within a part; whoever takes the part's own names is told what to install.
        assert not error.name.startswith("larq_dense") and name.count(".") > 1, error
        print(name.removeprefix("larq_dense."))
"""
    paths = [path.relative_to(site) for path in (site / "larq_dense").rglob("*.py")]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    names -= {"larq_dense", "larq_dense.cli.__main__", "larq_dense.common.keras2"}
    refused = set(succeed(site, program, *sorted(names)).split())
    base = {
        name
        for name in (each.removeprefix("larq_dense.") for each in names)
        if name.split(".")[0] in BASE_PARTS or name in BASE_MODULES
    }
    assert not refused & base
    assert {name.split(".")[0] for name in refused} == {
        *(
            "conversion",
            "evaluation",
            "experiments",
            "layers",
            "models",
            "quantization",
            "serving",
            "tasks",
            "training",
        )
    }


@pytest.mark.parametrize(
    "statement",
    [
        "from larq_dense import models",
        "from larq_dense.models import build",
        "from larq_dense.training.recipe import Recipe",
        "import larq_dense; larq_dense.training.train",
        "from larq_dense import evaluation; evaluation.measure",
        "from larq_dense import zoo; zoo.load('ecssd')",
    ],
)
def test_python_says_what_to_install(site: Path, statement: str) -> None:
    done = run(site, statement)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("larq_dense.common.errors.MissingExtraError: larq_dense.")
    assert "run `pip install '.[tensorflow]'`" in last


@needs_runtime
@pytest.mark.parametrize("as_path", [True, False])
def test_the_predictor_gives_the_same_labels(
    site: Path, model: Path, photo: Path, tmp_path: Path, as_path: bool
) -> None:
    program = f"""
from pathlib import Path
import numpy as np
from larq_dense import Predictor
model, photo, output = sys.argv[1:]
predictor = Predictor(model if {as_path} else Path(model).read_bytes())
np.savez(output, labels=predictor.labels(photo), logits=predictor.logits(photo))
"""
    succeed(site, program, model, photo, tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    expected = Predictor(str(model))
    np.testing.assert_array_equal(found["labels"], expected.labels(photo))
    np.testing.assert_array_equal(found["logits"], expected.logits(photo))
    assert len(np.unique(found["labels"])) > 1


@needs_runtime
def test_predict_writes_overlays_masks_and_json(
    site: Path, model: Path, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--output", out, "--save", "mask", "--save", "overlay")
    printed = succeed(site, CLI, "predict", model, photo, *options)
    assert "share of the pixels" in printed
    predictor = Predictor(str(model))
    expected = predictor.labels(photo)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "photo_mask.png")), expected)
    assert Image.open(out / "photo_overlay.png").size == Image.open(photo).size
    document = json.loads(succeed(site, CLI, "predict", model, photo, "--json"))
    shares = document["images"][0]["shares"]
    assert shares == {
        name: (expected == index).mean() for index, name in enumerate(predictor.spec.class_names)
    }


@needs_runtime
def test_benchmark_times_what_is_here_and_tells_what_is_not(site: Path, model: Path) -> None:
    printed = succeed(site, CLI, "benchmark", model, "--repeats", 2)
    assert "XNOR runtime" in printed
    (sentence,) = (line for line in printed.splitlines() if "is not installed" in line)
    assert sentence.startswith("Larq Compute Engine")
    document = json.loads(succeed(site, CLI, "benchmark", model, "--repeats", 2, "--json"))
    assert [row["engine"] for row in document["timings"]] == ["XNOR runtime"]


def test_help_and_cards_need_no_extra(site: Path, checkout: Path) -> None:
    assert "Commands:" in succeed(site, CLI, "--help")
    for command in cli.main.list_commands(click.Context(cli.main)):
        assert f"Usage: larq-dense {command}" in succeed(site, CLI, command, "--help")
    card = succeed(site, CLI, "zoo", "card", "ecssd")
    assert card == (checkout / "zoo" / "ecssd" / "card.md").read_text(encoding="utf-8")


def test_the_zoo_is_described_as_with_the_extra(site: Path) -> None:
    names = json.loads(succeed(site, CLI, "zoo", "list", "--json"))
    assert [each["name"] for each in names] == zoo.list_entries()
    program = "import json; from larq_dense import zoo; print(json.dumps(zoo.info(sys.argv[1])))"
    for name in zoo.list_entries():
        assert json.loads(succeed(site, program, name)) == zoo.info(name) | {"recipe": None}
    assert zoo.find("ecssd").expected_sha256() in succeed(site, CLI, "zoo", "info", "ecssd")


@needs_runtime
def test_an_entry_labels_by_its_own_file(site: Path, photo: Path, tmp_path: Path) -> None:
    entry = zoo.find("ecssd")
    if not entry.ships_tflite():
        pytest.skip("this checkout has no converted file of ecssd")
    for precision in (None, "int8", "binary"):
        out = tmp_path / str(precision)
        chosen = () if precision is None else ("--precision", precision)
        options = ("--output", out, "--save", "mask", *chosen)
        succeed(site, CLI, "predict", "ecssd", photo, *options)
        expected = Predictor(entry.tflite(int8=precision != "binary")).labels(photo)
        np.testing.assert_array_equal(np.asarray(Image.open(out / "photo_mask.png")), expected)


def test_a_damaged_file_of_an_entry_is_named(site: Path, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(site / "larq_dense" / "zoo" / "ecssd", folder)
    (folder / "mine.tflite").write_bytes(b"damaged")
    with (folder / "weights.sha256").open("a") as file:
        file.write(f"{'0' * 64}  mine.tflite\n")
    done = run(site, CLI, "predict", folder, photo)
    assert done.returncode == 1
    assert "mine.tflite is damaged or not the published file" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "predict ecssd {photo} --runtime keras",
        "predict {model} {photo} --entry ecssd",
        "predict {model} {photo} --runtime lce",
        "benchmark ecssd",
        "benchmark {model} --plot {folder}/plot.png",
        "convert ecssd --output {folder}/x.tflite",
        "convert ecssd --images {photo} --output {folder}/x.tflite",
        "data check {folder}",
        "demo --output {folder}",
        "diagnose ecssd --data {folder} --split val",
        "evaluate {model} --data {folder} --split val",
        "evaluate ecssd --data {folder} --split val",
        "ablate ecssd --data {folder} --run {folder}/run",
        "train ecssd --data {folder} --run {folder}/run",
    ],
)
def test_a_command_that_needs_the_extra_says_so(
    site: Path, model: Path, photo: Path, tmp_path: Path, command: str
) -> None:
    if "{model}" in command and not xnor.available():
        pytest.skip(str(xnor.why_unavailable()))
    before = sorted(tmp_path.rglob("*"))
    arguments = command.format(model=model, photo=photo, folder=tmp_path).split()
    done = run(site, CLI, *arguments)
    assert done.returncode == 1, done.stderr
    assert not done.stdout
    (error,) = (line for line in done.stderr.splitlines() if not line.startswith("INFO: "))
    assert error.startswith("Error: ")
    assert "run `pip install '.[tensorflow]'`" in error
    assert sorted(tmp_path.rglob("*")) == before


def test_serving_says_what_to_install(site: Path) -> None:
    done = run(site, CLI, "serve", "ecssd")
    assert done.returncode == 1 and not done.stdout
    (error,) = done.stderr.splitlines()
    assert error.startswith("Error: larq_dense.serving needs ")
    assert error.endswith("not installed; run `pip install '.[serve]'` in larq-dense's checkout.")


def test_an_address_on_the_hub_says_what_to_install(site: Path, photo: Path) -> None:
    for command in (("predict", "hf://me/mine", photo), ("zoo", "push", "ecssd", "hf://me/mine")):
        done = run(site, CLI, *command)
        assert done.returncode == 1 and not done.stdout
        (error,) = done.stderr.splitlines()
        assert error == (
            "Error: an address hf://… needs huggingface_hub, which is not installed; run "
            "`pip install '.[hub]'` in larq-dense's checkout."
        )


@needs_runtime
def test_the_server_needs_the_base_and_its_own_extra_alone(
    site: Path, checkout: Path, photo: Path, tmp_path: Path
) -> None:
    own = closure(required(checkout, "serve"))
    link_packages(tmp_path / "serve", {name: own[name] for name in own.keys() - {"click"}})
    program = f"sys.path.append({str(tmp_path / 'serve')!r}); sys.stderr = sys.stdout; " + CLI
    start = f"import sys; sys.path.insert(0, {str(site)!r}); {program}"
    command = [sys.executable, "-I", "-S", "-B", "-c", start, "serve", "ecssd", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout or [])
            line = next(each for each in lines if each.startswith(("serving", "Error")))
            request = urllib.request.Request(f"{line.split()[3].rstrip(';')}/predict")
            with urllib.request.urlopen(request, photo.read_bytes(), timeout=60) as answer:
                found = np.asarray(Image.open(io.BytesIO(answer.read())))
        finally:
            process.terminate()
        assert process.wait(timeout=60) == 0
    expected = Predictor(zoo.find("ecssd").tflite(int8=True)).labels(photo)
    np.testing.assert_array_equal(found, expected)


def test_a_missing_module_of_our_own_is_not_hidden(site: Path) -> None:
    (site / "larq_dense" / "cli" / "train.py").rename(site / "kept.py")
    try:
        done = run(site, CLI, "train")
    finally:
        (site / "kept.py").rename(site / "larq_dense" / "cli" / "train.py")
    assert "ModuleNotFoundError: No module named 'larq_dense.cli.train'" in done.stderr


def test_without_any_runtime_the_lighter_one_is_named(site: Path, model: Path, photo: Path) -> None:
    library = site / "larq_dense" / "runtime" / xnor.library_path().name
    if not library.exists():
        pytest.skip(str(xnor.why_unavailable()))
    library.rename(site / "kept.so")
    try:
        done = run(site, CLI, "predict", model, photo)
    finally:
        (site / "kept.so").rename(library)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the XNOR runtime's native library was not built; ")
