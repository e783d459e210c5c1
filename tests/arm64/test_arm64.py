"""64-bit Arm Linux: the package's wheel made by a cross compiler, and run under emulation.

`make_root.py` fetches the emulated machine; without it only the wheel is looked at.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from arm64.make_root import CHECKOUT, pip_install
from PIL import Image

from larq_dense.runtime.engine import Engine

ENTRY = "idd_lite"
PACKAGE = ("larq_dense", "zoo", "cli", "native", "setup.py", "setup.cfg", "pyproject.toml")
PICTURES = ("rocket.jpg", "motorcycle_left.png")
CASES = os.environ.get("LARQ_DENSE_XNOR_CASES", "50")
LIBRARY = "larq_dense/runtime/liblarq_dense_xnor.so"
COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64-static"
AARCH64 = 183  # e_machine in an ELF file's header


def run(*command: str | Path, **environment: str) -> str:
    result = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel for 64-bit Arm from a copy of the tree, free of this machine's libraries."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    for name in (*PACKAGE, "README.md", "LICENSE"):
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignore)
        else:
            shutil.copy(source, tree)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, tree, CXX=COMPILER)
    return next(folder.glob("*.whl"))


class Machine:
    """The emulated machine with the wheel installed."""

    def __init__(self, root: Path, wheel: Path, folder: Path) -> None:
        self.debian = root / "debian"
        self.installed = folder
        self.path = f"{folder}:{root / 'site'}"
        pip_install(folder, "--no-deps", wheel)

    def python(self, *arguments: str | Path) -> str:
        """Run its Python and return what that prints."""
        emulator = (EMULATOR, "-L", self.debian, "-E", f"PYTHONPATH={self.path}")
        return run(*emulator, self.debian / "usr/bin/python3.11", *arguments)


@pytest.fixture(scope="module")
def root() -> Path:
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"{EMULATOR} is not installed")
    folder = os.environ.get("LARQ_DENSE_ARM64_ROOT")
    if folder is None:
        pytest.skip(
            "LARQ_DENSE_ARM64_ROOT is not set; `python tests/arm64/make_root.py FOLDER` makes "
            "the folder that it names"
        )
    return Path(folder).resolve()


@pytest.fixture(scope="module")
def machine(root: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(root, wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory, pictures: list[Path]) -> Path:
    """Convert a zoo entry on this machine; Larq Compute Engine has no wheel for the other."""
    path = tmp_path_factory.mktemp("entry") / f"{ENTRY}.tflite"
    here = (sys.executable, "-m", "larq_dense.cli")
    run(*here, "convert", ENTRY, "--output", path, "--images", pictures[0])
    return path


@pytest.fixture(scope="module")
def pictures() -> list[Path]:
    import skimage

    return [Path(skimage.__file__).parent / "data" / name for name in PICTURES]


def test_the_wheel_is_for_64_bit_arm(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-linux_aarch64.whl")
    with zipfile.ZipFile(wheel) as files:
        library = files.read(LIBRARY)
    assert library[:4] == b"\x7fELF"
    assert int.from_bytes(library[18:20], "little") == AARCH64


@pytest.mark.parametrize("name", ["i8mm", "dotprod", "neon", "portable"])
def test_the_engine_gives_what_it_gives_here(wheel: Path, tmp_path: Path, name: str) -> None:
    """The C example, cross-compiled, on the wheel's library; emulated without a root."""
    compiler, system = shutil.which("aarch64-linux-gnu-gcc"), Path("/usr/aarch64-linux-gnu")
    if compiler is None or shutil.which(EMULATOR) is None or not system.is_dir():
        pytest.skip(f"aarch64-linux-gnu-gcc, its libc or {EMULATOR} is not installed")
    pytest.importorskip("flatbuffers")
    sys.path.insert(0, str(CHECKOUT / "tests" / "native"))
    import engine_files

    with zipfile.ZipFile(wheel) as files:
        library = tmp_path / "library.so"
        library.write_bytes(files.read(LIBRARY))
    program, links = tmp_path / "engine_run", (library, f"-Wl,-rpath,{tmp_path}")
    run(compiler, CHECKOUT / "native" / "tools" / "engine_run.c", *links, "-o", program)
    for make in (engine_files.encoder, engine_files.decoder):
        content = make()
        picture = np.random.default_rng(0).integers(-128, 128, (1, 4, 6, 3)).astype(np.int8)
        (tmp_path / "network").write_bytes(content)
        (tmp_path / "picture").write_bytes(picture.tobytes())
        paths = [tmp_path / each for each in ("network", "picture", "logits")]
        run(EMULATOR, "-cpu", "max", "-L", system, program, *paths, name)
        (expected,) = Engine(content).run([picture])
        assert paths[2].read_bytes() == expected.tobytes()


def test_nothing_of_tensorflow_is_there(machine: Machine) -> None:
    program = "import importlib.util as u; print(*[m for m in {} if u.find_spec(m)])"
    heavy = ("tensorflow", "tf_keras", "larq", "larq_compute_engine", "yaml", "pydantic")
    assert machine.python("-c", program.format(heavy)).split() == []


def test_predict_gives_the_labels_of_this_machine(
    machine: Machine, entry: Path, pictures: list[Path], tmp_path: Path
) -> None:
    command = ("-m", "larq_dense.cli", "predict", entry, *pictures, "--save", "mask", "--output")
    machine.python(*command, tmp_path / "there", "--runtime", "xnor")
    run(sys.executable, *command, tmp_path / "here")
    for picture in pictures:
        there, here = (
            np.asarray(Image.open(tmp_path / side / f"{picture.stem}_mask.png"))
            for side in ("there", "here")
        )
        assert len(np.unique(here)) > 1
        np.testing.assert_array_equal(there, here)


def test_benchmark_runs(machine: Machine, entry: Path) -> None:
    command = ("-m", "larq_dense.cli", "benchmark", entry, "--repeats", "1", "--json")
    timings = json.loads(machine.python(*command))["timings"]
    assert [row["engine"] for row in timings] == ["XNOR runtime"]
    assert timings[0]["median_ms"] > 0  # how long means nothing under emulation


def test_convolutions_and_the_network_replay(machine: Machine, entry: Path, tmp_path: Path) -> None:
    replay = CHECKOUT / "tests" / "native" / "replay.py"
    cases = tmp_path / "cases.npz"
    record = (sys.executable, replay, "record", cases, "--count", CASES, "--model", entry)
    run(*record, PYTHONPATH=str(replay.parent))  # tests/conftest.py keeps it off the path
    library = machine.installed / LIBRARY
    printed = machine.python(replay, "replay", cases, "--library", library)
    assert printed.rstrip().endswith(", 0 wrong")
    assert int(printed.rsplit("\n", 2)[-2].split()[0]) > int(CASES)
