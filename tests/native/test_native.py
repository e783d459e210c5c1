"""Builds the C++ tests, plain and with sanitizers, and runs them.

`LARQ_DENSE_NATIVE_CASES` sets the kernel test's convolutions for each instruction set and
`LARQ_DENSE_FUZZ_RUNS` and `LARQ_DENSE_ENGINE_FUZZ_RUNS` the runs of the fuzz targets.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts import load_script

from larq_dense.runtime import xnor

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"

CASES = os.environ.get("LARQ_DENSE_NATIVE_CASES", "100")
RUNS = os.environ.get("LARQ_DENSE_FUZZ_RUNS", "3000")
ENGINE_RUNS = os.environ.get("LARQ_DENSE_ENGINE_FUZZ_RUNS", "10000")
MEMORY = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREADS = ("-O1", "-g1", "-fsanitize=thread")
# These differ from others by an instruction, and sanitizers make compiling slow.
ALIKE = ("kernel_avx512vnni.cc", "kernel_avxvnni.cc")


build = load_script(NATIVE / "build.py")


@pytest.fixture(scope="module")
def compiler() -> list[str]:
    found: list[str] | None = build.find_compiler()
    if found is None:
        pytest.skip("this machine has no C++ compiler")
    return found


def compile_test(
    compiler: list[str], objects: list[Path], name: str, folder: Path, flags: tuple[str, ...]
) -> Path:
    program = folder / name
    common = ["-std=c++17", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-pthread"]
    command = [*compiler, *common, *flags, str(HERE / f"{name}.cc"), *map(str, objects)]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def run(program: Path, *arguments: str) -> None:
    options = {"ASAN_OPTIONS": "allocator_may_return_null=1:max_allocation_size_mb=1024"}
    result = subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **options},
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


@pytest.fixture(scope="module")
def checked(compiler: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Compile the runtime under AddressSanitizer and UndefinedBehaviorSanitizer."""
    folder = tmp_path_factory.mktemp("sanitized")
    try:
        subprocess.run(
            [*compiler, *MEMORY, "-x", "c++", "-", "-o", str(folder / "probe")],
            input=b"int main() { return 0; }",
            check=True,
            capture_output=True,
        )
    except subprocess.CalledProcessError:
        pytest.skip("the compiler has no sanitizers")
    yield build.compile_objects(compiler, folder, ("-Werror", *MEMORY), ALIKE)


def test_all_programs_under_sanitizers(
    compiler: list[str], checked: list[Path], tmp_path: Path
) -> None:
    """One test, for compiling what they share takes two minutes, and each worker would do it."""
    programs = {
        "kernel_test": CASES,
        "pool_test": "",
        "fuzz_test": RUNS,
        "stream_test": "5",
    }
    for name, argument in programs.items():
        run(compile_test(compiler, checked, name, tmp_path, MEMORY), *argument.split())
    pytest.importorskip("flatbuffers")  # writes the files that are then damaged
    import engine_files

    files = map(str, engine_files.write(tmp_path))
    fuzz = compile_test(compiler, checked, "engine_fuzz_test", tmp_path, MEMORY)
    run(fuzz, ENGINE_RUNS, "1", *files)


@pytest.mark.skipif(platform.system() != "Linux", reason="ThreadSanitizer is tried on Linux only")
def test_threads_have_no_races(compiler: list[str], tmp_path: Path) -> None:
    objects = build.compile_objects(compiler, tmp_path, ("-Werror", *THREADS), ALIKE)
    run(compile_test(compiler, objects, "pool_test", tmp_path, THREADS))
    run(compile_test(compiler, objects, "stream_test", tmp_path, THREADS), "3")


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF file")
def test_the_library_needs_only_libc() -> None:
    if not xnor.available():
        pytest.skip(str(xnor.why_unavailable()))
    try:
        shown = subprocess.run(
            ["readelf", "-d", str(xnor.library_path())], capture_output=True, text=True, check=True
        ).stdout
    except FileNotFoundError:
        pytest.skip("readelf is not installed")
    needed = [line.split("[")[1].split("]")[0] for line in shown.splitlines() if "(NEEDED)" in line]
    allowed = ("libc.so", "libpthread.so", "ld-linux")
    assert [name for name in needed if not name.startswith(allowed)] == []


# As QEMU knows them: it emulates AVX2, but not AVX-512.
EMULATED = {
    "Nehalem": ["portable"],
    "Haswell": ["avx2", "portable"],
    "Skylake-Server": ["avx2", "portable"],
}


def test_this_processor_and_older_ones_get_what_they_can_run(
    compiler: list[str], tmp_path: Path
) -> None:
    """One test, for compiling takes long, and each worker would do it."""
    objects = build.compile_objects(compiler, tmp_path, ("-Werror", "-O1"))
    run(compile_test(compiler, objects, "dispatch_test", tmp_path, ("-O1",)))
    program = compile_test(compiler, objects, "kernel_test", tmp_path, ("-O1",))
    run(program, CASES)
    if platform.machine() != "x86_64":
        return
    emulator = next(filter(None, map(shutil.which, ("qemu-x86_64", "qemu-x86_64-static"))), None)
    if emulator is None:
        pytest.skip("all but older processors: qemu-x86_64 is not installed (Debian: qemu-user)")
    for processor, expected in EMULATED.items():
        result = subprocess.run(
            [emulator, "-cpu", processor, str(program), "10"],
            capture_output=True,
            text=True,
            check=False,
        )
        # An instruction that the processor lacks would have killed the program.
        assert result.returncode == 0, f"{processor}: {result.stdout}\n{result.stderr}"
        assert [line.split(":")[0] for line in result.stdout.splitlines()] == expected


def fused_multiply_adds(library: Path) -> list[str]:
    """Return the instructions of a library that round once where C++ would round twice."""
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    command = ["objdump", "-d", "--no-show-raw-insn", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = r"\t(vfn?m(?:add|sub)\w*|fn?m(?:add|sub)|fml[as])\b"
    return [line for line in text.splitlines() if re.search(names, line)]


def test_no_multiply_add_is_fused(compiler: list[str], tmp_path: Path) -> None:
    if not xnor.available():
        pytest.skip(str(xnor.why_unavailable()))
    assert fused_multiply_adds(xnor.library_path()) == []
    # Where they are allowed they are found.
    allowed = ("-O2", "-ffp-contract=fast", *(("-mfma",) if platform.machine() == "x86_64" else ()))
    command = [*compiler, *allowed, "-x", "c++", "-c", "-", "-o", str(tmp_path / "fused.o")]
    program = b"float f(float a, float b, float c) { return a * b + c; }"
    subprocess.run(command, input=program, check=True)
    assert len(fused_multiply_adds(tmp_path / "fused.o")) == 1


def test_an_older_compiler_leaves_kernels_out(compiler: list[str], tmp_path: Path) -> None:
    if build.find_target(compiler).machine != "x86_64":
        pytest.skip("the compiler does not build for x86-64")
    older = tmp_path / "older"
    older.write_text(
        f'#!/bin/sh\ncase "$*" in *-mavxvnni*) exit 1;; esac\nexec {compiler[0]} "$@"\n'
    )
    older.chmod(0o755)
    assert build.left_out(compiler) == []
    assert build.left_out([str(older)]) == ["kernel_avxvnni.cc"]
    preprocess = [*compiler, "-E", str(NATIVE / "src" / "dispatch.cc")]
    for define, found in (([], True), (["-DLARQ_DENSE_WITHOUT_KERNEL_AVXVNNI"], False)):
        text = subprocess.run(
            [*preprocess, *define], capture_output=True, text=True, check=True
        ).stdout
        assert ("{&kAvxVnniKernels" in text) == found


def test_zig_is_told_of_processors() -> None:
    flags = build.KERNEL_FLAGS["aarch64"]["kernel_dotprod.cc"]
    zig = ["python", "-m", "ziglang", "c++", "-target", "aarch64-macos"]
    assert build.spell(zig, flags) == ["-mcpu=generic+v8_2a+dotprod"]
    assert build.spell(["aarch64-linux-gnu-g++"], flags) == list(flags)


def test_neither_build_may_fuse_a_multiplication_and_an_addition() -> None:
    assert "-ffp-contract=off" in build.FLAGS
    assert "-ffp-contract=off" in (NATIVE / "CMakeLists.txt").read_text()


def test_cmake_compiles_with_the_same_flags(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    command = [
        "cmake",
        "-S",
        str(NATIVE),
        "-B",
        str(tmp_path),
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
    ]
    subprocess.run(command, check=True, capture_output=True)
    entries = json.loads((tmp_path / "compile_commands.json").read_text())
    flags = {Path(entry["file"]): set(entry["command"].split()) for entry in entries}
    sources = build.sources(platform.machine())
    assert set(flags) == set(sources)
    machine = {flag for own in sources.values() for flag in own}
    for source, own in sources.items():
        assert set(build.FLAGS) <= flags[source], source
        assert flags[source] & machine == set(own), source


def test_a_machine_without_a_compiler_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert build.build(tmp_path) is None
    assert "no C++ compiler was found" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
