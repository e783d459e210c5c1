"""The package as it is installed: where it comes from, what it holds, what importing it costs."""

import os
import subprocess
import sys
from importlib.metadata import entry_points, requires, version
from pathlib import Path

import pytest

import larq_dense
from larq_dense import zoo

HEAVY = ("tensorflow", "larq", "larq_zoo", "keras_cv", "matplotlib", "skimage", "scipy")


def loaded_by(statement: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after `statement`."""
    program = f"import sys\n{statement}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_ci_tests_the_installed_wheel() -> None:
    environment = os.environ.get("LARQ_DENSE_INSTALLED_IN")
    if environment is None:
        pytest.skip("only CI, which sets LARQ_DENSE_INSTALLED_IN, tests an installed wheel")
    assert Path(larq_dense.__file__).is_relative_to(Path(environment).resolve())


def test_version_is_the_distributions() -> None:
    assert larq_dense.__version__ == version("larq-dense")


def test_console_script_is_registered() -> None:
    (script,) = entry_points(group="console_scripts", name="larq-dense")
    assert script.value == "larq_dense.cli:main"


def test_requirements_pin_what_must_agree() -> None:
    wanted = requires("larq-dense") or []
    for start in ("numpy<2", "tensorflow<2.20", "tf-keras<2.20"):
        assert any(line.startswith(start) for line in wanted), (start, wanted)


def test_every_entry_is_packaged_whole(checkout: Path) -> None:
    kept = [path.parent.name for path in (checkout / "zoo").glob("*/recipe.yaml")]
    assert zoo.list_entries() == sorted(kept) != []
    for name in kept:
        assert files(zoo.find(name).folder) == files(checkout / "zoo" / name) != set()


def files(folder: Path) -> set[str]:
    """List an entry's files, with those of its int8 variant and of its twin where it has them."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "statement",
    [
        "import larq_dense",
        "import larq_dense.common.images",
        "import larq_dense.runtime",
        "from larq_dense import zoo; zoo.list_entries()",
        "from larq_dense.training import Recipe",
        "from larq_dense.cli import main; main(['--help'], standalone_mode=False)",
        "from larq_dense.cli import main; main(['predict', '--help'], standalone_mode=False)",
    ],
)
def test_imports_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) == set()


def test_the_checker_sees_a_heavy_import() -> None:
    assert loaded_by("import matplotlib") == {"matplotlib"}


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_part"):
        larq_dense.no_such_part  # noqa: B018


@pytest.mark.parametrize("legacy", ["0", "false"])
def test_keras_3_gets_one_sentence(legacy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import larq_dense"],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_USE_LEGACY_KERAS": legacy},
    )
    assert done.returncode == 1
    assert "import larq_dense before tensorflow" in done.stderr.splitlines()[-1]


def test_tensorflow_imported_first_is_refused_only_where_keras_is_3() -> None:
    # `tf.keras` is bound when it is first used, so only the second program is too late.
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    late = "import tensorflow as tf; tf.keras.layers; import larq_dense"
    done = subprocess.run(
        [sys.executable, "-c", late], capture_output=True, text=True, env=environment
    )
    import tensorflow as tf

    keras_3_is_default = tuple(map(int, tf.__version__.split(".")[:2])) >= (2, 16)
    assert (done.returncode == 1) == keras_3_is_default
    if keras_3_is_default:
        assert "Keras 3" in done.stderr.splitlines()[-1]
