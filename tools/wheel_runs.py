"""Runs the library of each wheel that this machine can run: natively, in QEMU or in Wine.

    python tools/wheel_runs.py dist/*.whl --musl-root FOLDER

For each wheel the C example (`native/tools/engine_run.c`) is compiled for its platform by Zig and
linked with its library. It runs every published int8 network with every instruction set that the
library has there, on noise, and the result is compared with that of the engine of this Python.

Debian's packages: qemu-user-static and libc6-arm64-cross (64-bit Arm), musl (musl on x86-64), wine
(Windows). `--musl-root` is a folder with Arm's `lib/ld-musl-aarch64.so.1`: tests/arm64/make_root.py
makes one, `FOLDER/debian`. What a machine lacks is told, and the wheel is passed over.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from wheel_checks import RUNTIME
from wheels import CHECKOUT, TARGETS

from larq_dense import zoo
from larq_dense.runtime.engine import Engine
from larq_dense.zoo import entries

_ARM = ("qemu-aarch64-static", "-cpu", "max", "-L")
_SETS = {
    "x86_64": ("avx512", "avx512vnni", "avx512bw", "avxvnni", "avx2", "portable"),
    "aarch64": ("i8mm", "dotprod", "neon", "portable"),
}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--musl-root", type=Path, default=Path("/"))
    arguments = parser.parse_args()
    wrong = False
    for wheel in arguments.wheels:
        platform = wheel.stem.split("-")[-1]
        emulator = emulators(arguments.musl_root).get(platform)
        if emulator is None:
            print(f"{platform}: not run, this is another system", flush=True)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                done = run_wheel(wheel, platform, emulator, Path(scratch))
            except (subprocess.CalledProcessError, FileNotFoundError) as error:
                print(f"{platform}: not run, {error}", flush=True)
                wrong = True
                continue
        for name, (equal, sets) in done.items():
            wrong |= not equal
            word = "equal" if equal else "DIFFERENT"
            print(f"{platform}: {name}: {word} with {', '.join(sets)}", flush=True)
    return int(wrong)


def emulators(musl_root: Path) -> dict[str, Sequence[str]]:
    """Return the command before a program, by the platform that it was built for."""
    return {
        "manylinux_2_17_x86_64": (),
        "manylinux_2_17_aarch64": (*_ARM, "/usr/aarch64-linux-gnu"),
        "musllinux_1_2_x86_64": (),
        "musllinux_1_2_aarch64": (*_ARM, str(musl_root)),
        "win_amd64": ("wine",),
    }


def run_wheel(
    wheel: Path, platform: str, emulator: Sequence[str], folder: Path
) -> dict[str, tuple[bool, list[str]]]:
    """Run all networks.

    Returns:
        By network: whether all results were this machine's, and the instruction sets that ran.

    Raises:
        CalledProcessError: The program could not be compiled, or not start.
    """
    program = compile_program(wheel, platform, folder)
    machine = "aarch64" if "aarch64" in platform else "x86_64"
    found: dict[str, tuple[bool, list[str]]] = {}
    for name in zoo.list_entries():
        entry = entries.find(name)
        if not entry.int8().is_published:
            continue
        file = entry.tflite(int8=True)
        engine = Engine(file.read_bytes())
        noise = np.random.default_rng(0).integers(-128, 128, engine.inputs[0].shape)
        picture = noise.astype(np.int8)
        (expected,) = engine.run([picture])
        (folder / "picture").write_bytes(picture.tobytes())
        sets, equal = [], True
        for instruction_set in _SETS[machine]:
            output = folder / "logits"
            output.unlink(missing_ok=True)
            command = [*emulator, str(program), str(file), "picture", "logits", instruction_set]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if "no instruction set" in done.stderr:
                continue
            done.check_returncode()
            sets.append(instruction_set)
            equal &= output.read_bytes() == expected.tobytes()
        found[name] = (equal and bool(sets), sets)
    return found


def compile_program(wheel: Path, platform: str, folder: Path) -> Path:
    """Unpack the wheel's library into a folder and compile the C example against it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.startswith(f"{RUNTIME}liblarq"))
        library = folder / Path(name).name
        library.write_bytes(archive.read(name))
    program = folder / ("engine_run.exe" if platform.startswith("win") else "engine_run")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", TARGETS[platform]]
    # Zig links musl statically unless it is told otherwise, and a static program loads no library.
    dynamic = ["-dynamic"] if "musl" in platform else []
    links = [str(library), *([] if platform.startswith("win") else [f"-Wl,-rpath,{folder}"])]
    source = str(CHECKOUT / "native" / "tools" / "engine_run.c")
    subprocess.run([*zig, "-O2", *dynamic, source, *links, "-o", str(program)], check=True)
    return program


if __name__ == "__main__":
    sys.exit(main())
