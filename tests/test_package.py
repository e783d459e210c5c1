"""The package as it is installed: where it comes from, what it holds, what importing it costs."""

import os
import subprocess
import sys
from importlib.metadata import entry_points, requires, version
from pathlib import Path

import pytest

import larq_dense
from larq_dense import zoo

# Up to 2.15, TensorFlow knows no Keras but Keras 2.
needs_keras_3 = pytest.mark.skipif(
    tuple(map(int, version("tensorflow").split(".")[:2])) < (2, 16),
    reason="this TensorFlow knows no Keras 3",
)

HEAVY = ("tensorflow", "larq", "larq_zoo", "keras_cv", "matplotlib", "skimage", "scipy")
HEAVY += ("starlette", "uvicorn", "prometheus_client", "huggingface_hub")


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
    """List an entry's files, with those of its int8 variant and baseline where it has them."""
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


def run_afresh(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python for which nobody has chosen a Keras yet."""
    untouched = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**untouched, **environment},
    )


def test_the_import_leaves_the_environment_alone() -> None:
    program = """
import os
before = dict(os.environ)
import larq_dense
from larq_dense import Predictor, tasks, training, zoo
zoo.list_entries()
assert os.environ == before
"""
    done = run_afresh(program)
    assert done.returncode == 0, done.stderr


@needs_keras_3
def test_the_import_leaves_keras_3_to_others() -> None:
    done = run_afresh("""
import larq_dense
import tensorflow as tf
from larq_dense import Predictor
assert tf.keras.__version__.startswith("3."), tf.keras.__version__
tf.keras.Sequential([tf.keras.Input([2]), tf.keras.layers.Dense(1)])
try:
    import larq_dense.layers
except ImportError as error:
    print(error)
""")
    assert done.returncode == 0, done.stderr
    assert "TensorFlow was imported with Keras 3 here: use larq_dense's" in done.stdout


@needs_keras_3
def test_what_needs_tensorflow_chooses_keras_2_and_tells_a_user_of_keras_3() -> None:
    show = "import tensorflow as tf; print(tf.keras.layers.Layer.__module__)"
    alone = run_afresh(f"import larq_dense.layers; {show}")
    assert alone.stdout.startswith("tf_keras."), alone.stderr
    assert "Keras 2" not in alone.stderr
    loaded = run_afresh(f"""
import sys, types
sys.modules["keras"] = types.ModuleType("keras")
import larq_dense.common.keras2
del sys.modules["keras"]
{show}
""")
    assert loaded.stdout.startswith("tf_keras."), loaded.stderr
    assert "larq_dense makes tf.keras Keras 2 in this process" in loaded.stderr


@pytest.mark.parametrize("legacy", ["0", "false"])
def test_a_choice_of_keras_3_gets_one_sentence(legacy: str) -> None:
    done = run_afresh("import larq_dense.layers", TF_USE_LEGACY_KERAS=legacy)
    assert done.returncode == 1
    assert f"TF_USE_LEGACY_KERAS={legacy} asks for Keras 3" in done.stderr.splitlines()[-1]
