"""Build the XNOR delegate with whatever C++ compiler the machine has.

Used by `setup.py` for wheels and editable installs, by the tests and by CI. Needs nothing but the
standard library:

    python native/build.py larq_dense/runtime

`$CXX` may name a cross compiler: what it builds for is asked of the compiler itself. `$LDFLAGS`
holds more flags for the link. `tools/wheels.py` uses both.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).resolve().parent / "src"

# The code throws nothing and uses no C++ library, so that libc is all that the result needs.
# Fused multiply-adds are off: every instruction set then gives the same floats to the last bit.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
)

# Only the kernels of an instruction set are compiled for it; the rest runs on any processor.
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512vl")
KERNEL_FLAGS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "kernel_avx512.cc": (*_AVX512, "-mavx512vnni", "-mavx512vpopcntdq"),
        "kernel_avx512vnni.cc": (*_AVX512, "-mavx512vnni"),
        "kernel_avx512bw.cc": _AVX512,
        "kernel_avxvnni.cc": ("-mavx2", "-mavxvnni"),
        "kernel_avx2.cc": ("-mavx2",),
    },
    "aarch64": {
        "kernel_i8mm.cc": ("-march=armv8.2-a+dotprod+i8mm",),
        "kernel_dotprod.cc": ("-march=armv8.2-a+dotprod",),
        "kernel_neon.cc": (),
    },
    "wasm32": {"kernel_wasm.cc": ("-msimd128",)},
}
# The library can do without these. The flags of some are newer than some compilers (GCC 11 and 10,
# Clang 12), which leave them out.
OPTIONAL = ("kernel_avx512vnni.cc", "kernel_avxvnni.cc", "kernel_i8mm.cc")
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}

# What a compiler's target or `sys.platform` calls a system → its name here.
_SYSTEMS = {
    "linux": "linux",
    "macos": "darwin",
    "darwin": "darwin",
    "windows": "windows",
    "mingw": "windows",
    "win32": "windows",
}
_ENDINGS = {"darwin": "dylib", "windows": "dll"}


class BuildError(Exception):
    """The compiler refused the sources; the message holds what it printed."""


def find_compiler() -> list[str] | None:
    """Return the compiler's command: `$CXX`, or the first of g++, clang++ and c++ there is."""
    wanted = os.environ.get("CXX")
    for command in [shlex.split(wanted)] if wanted else [["g++"], ["clang++"], ["c++"]]:
        if command and shutil.which(command[0]):
            return command
    return None


class Target(NamedTuple):
    """What a compiler builds for.

    Attributes:
        machine: The processor, such as `x86_64` or `aarch64`.
        system: `linux`, `darwin` or `windows`; another Unix counts as `linux`.
    """

    machine: str
    system: str

    @property
    def library(self) -> str:
        """The shared library's file name."""
        return f"liblarq_dense_xnor.{_ENDINGS.get(self.system, 'so')}"


def find_target(compiler: Sequence[str]) -> Target:
    """Return what a compiler builds for, from the triple that it reports."""
    command = [*compiler, "-dumpmachine"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    triple = result.stdout.strip().lower() or f"{platform.machine()}-{sys.platform}".lower()
    machine, _, rest = triple.partition("-")
    system = next((name for word, name in _SYSTEMS.items() if word in rest), "linux")
    return Target(_ALIASES.get(machine, machine), system)


def sources(machine: str) -> dict[Path, tuple[str, ...]]:
    """Return the files to compile for a processor, each with the flags that are its own."""
    kernels = KERNEL_FLAGS.get(machine, {})
    chosen: dict[Path, tuple[str, ...]] = {}
    for path in sorted(SOURCES.glob("*.cc")):
        if path.name.startswith("kernel_") and path.name != "kernel_portable.cc":
            if path.name in kernels:
                chosen[path] = kernels[path.name]
        else:
            chosen[path] = ()
    chosen[SOURCES / "operators.cc"] = (f"-DLARQ_DENSE_OPERATORS={','.join(operators())}",)
    return chosen


def operators() -> list[str]:
    """Return the names of the files that define operators; the table is made of them."""
    return sorted(path.stem for path in SOURCES.glob("op_*.cc"))


def spell(compiler: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return flags as a compiler spells them: Zig knows processors, not architectures."""
    if not any("zig" in Path(part).name for part in compiler):
        return list(flags)
    return [flag.replace("-march=armv8.2-a", "-mcpu=generic+v8_2a") for flag in flags]


def left_out(compiler: Sequence[str]) -> list[str]:
    """Return the kernels whose flags a compiler does not know."""
    own = KERNEL_FLAGS.get(find_target(compiler).machine, {})

    def knows(flags: Sequence[str]) -> bool:
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "empty.cc"
            source.touch()
            command = [*compiler, *spell(compiler, flags), "-c", str(source), "-o", f"{source}.o"]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

    return [name for name in OPTIONAL if name in own and not knows(own[name])]


def compile_objects(
    compiler: Sequence[str],
    folder: Path,
    extra_flags: Sequence[str] = (),
    without: Sequence[str] = (),
) -> list[Path]:
    """Compile every source into `folder` and return the object files.

    Args:
        compiler: The compiler's command.
        folder: Where the object files go.
        extra_flags: Flags after the usual ones, such as `-fsanitize=address`.
        without: Kernels to leave out, of `OPTIONAL`.

    Raises:
        BuildError: The compiler failed.
    """
    missing = {*left_out(compiler), *without}
    defines = [f"-DLARQ_DENSE_WITHOUT_{Path(name).stem.upper()}" for name in sorted(missing)]
    commands, objects = [], []
    for path, flags in sources(find_target(compiler).machine).items():
        if path.name in missing:
            continue
        target = folder / f"{path.stem}.o"
        own = [*FLAGS, *spell(compiler, flags), *defines, *extra_flags]
        commands.append([*compiler, *own, "-c", str(path), "-o", str(target)])
        objects.append(target)
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(_run, commands))
    return objects


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{shlex.join(command)}\n{result.stdout}{result.stderr}")


def _link_flags(target: Target) -> list[str]:
    flags = ["-pthread", *shlex.split(os.environ.get("LDFLAGS", ""))]
    if target.system == "linux":
        # Nothing of the C++ library is used; the flags keep it out of the result's needs.
        return ["-static-libgcc", "-Wl,--as-needed", *flags]
    return flags


def build(
    output_dir: str | os.PathLike[str],
    compiler: Sequence[str] | None = None,
    extra_flags: Sequence[str] = (),
) -> Path | None:
    """Build the shared library.

    Args:
        output_dir: The folder that receives the library, `liblarq_dense_xnor.so` on Linux.
        compiler: The compiler's command; found on the machine where it is not given.
        extra_flags: More flags for compiling and linking.

    Returns:
        The library, or `None` where the machine has no compiler or one that fails; a sentence on
        the standard error stream says so.
    """
    compiler = list(compiler) if compiler else find_compiler()
    if compiler is None:
        print(
            "larq_dense: no C++ compiler was found (g++, clang++ or $CXX), so the XNOR runtime is "
            "not built; models then need Larq Compute Engine's interpreter, of the extra "
            "[tensorflow].",
            file=sys.stderr,
        )
        return None
    output = Path(output_dir)
    output.mkdir(parents=True, exist_ok=True)
    target = find_target(compiler)
    library = output / target.library
    try:
        with tempfile.TemporaryDirectory() as scratch:
            objects = compile_objects(compiler, Path(scratch), extra_flags)
            linked = Path(scratch) / target.library
            command = [*compiler, "-shared", *extra_flags, *map(str, objects), "-o", str(linked)]
            _run([*command, *_link_flags(target)])
            # Replaced, not written over: a process may have the old one loaded.
            fresh = library.with_suffix(".new")
            shutil.copyfile(linked, fresh)
            fresh.replace(library)
    except BuildError as error:
        print(f"larq_dense: the XNOR runtime could not be built:\n{error}", file=sys.stderr)
        return None
    return library


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "larq_dense" / "runtime"
    sys.exit(0 if build(sys.argv[1] if len(sys.argv) > 1 else default) else 1)
