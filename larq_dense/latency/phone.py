"""Latency on a phone: a small program, built by Android's NDK, times the candidates there."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.files import DAMAGED_ZIP
from larq_dense.latency.adb import Phone
from larq_dense.latency.benchmark import Candidate, Timing
from larq_dense.native import build as native

_API = 24
"""Android 7, the oldest version whose `adb shell` tells whether a command failed."""
_TARGETS = {"arm64-v8a": "aarch64-linux-android", "x86_64": "x86_64-linux-android"}
_LINKER_FLAGS = ("-static-libstdc++", "-Wl,-z,max-page-size=16384")
"""Phones have no C++ library, and some have pages of 16 KB."""
_LITERT_NAMES = ("libtensorflowlite_jni.so", "libLiteRt.so")
"""What LiteRT's library is called in an AAR of version 1 and of version 2."""
_PROGRAM, _XNOR, _LITERT = "device_benchmark", "liblarq_dense_xnor.so", "litert.so"
_PICTURE = "picture"


@dataclass(frozen=True)
class PhoneCandidate(Candidate):
    """A file to run on the phone: a binary one in the XNOR runtime, others in LiteRT alone."""

    file: bytes

    @property
    def file_name(self) -> str:
        """What the file is called on the phone."""
        return f"{self.network}.tflite"

    @property
    def argument(self) -> str:
        """How the program on the phone is told of it."""
        return f"{'xnor' if self.network == 'binary' else 'litert'}:{self.threads}:{self.file_name}"


@dataclass(frozen=True)
class PhoneRun:
    """What a phone measured.

    Attributes:
        timings: One for each candidate, in their order.
        output: The first candidate's output, float32, flat.
        machine: The phone, in the terms of `describe_machine`.
    """

    timings: list[Timing]
    output: NDArray[np.float32]
    machine: dict[str, Any]


def phone_candidates(
    threads: Sequence[int],
    *,
    binary_file: bytes,
    float_file: bytes | None = None,
    int8_file: bytes | None = None,
) -> list[PhoneCandidate]:
    """Return every way to run the given forms of a network on a phone; see `candidates`."""
    forms = [
        ("XNOR runtime", "binary", binary_file),
        ("TFLite float32", "float32", float_file),
        ("TFLite int8", "int8", int8_file),
    ]
    return [
        PhoneCandidate(engine, network, count, len(file), file)
        for count in threads
        for engine, network, file in forms
        if file is not None
    ]


def build_kit(phone: Phone, litert: Path, folder: Path) -> list[Path]:
    """Collect what the phone needs besides the models: timing program, XNOR runtime, LiteRT.

    Args:
        phone: Whose processor to build for.
        litert: LiteRT for Android, an `.aar` or the library itself.
        folder: Receives the files.

    Raises:
        LarqDenseError: A tool or a library is missing, or the compiler failed.
    """
    (abi,) = phone.properties("ro.product.cpu.abi")
    if abi not in _TARGETS:
        raise LarqDenseError(f"the phone's processor is {abi}; known: {', '.join(_TARGETS)}.")
    library = folder / _LITERT
    library.write_bytes(_read_litert(litert, abi))
    compiler = [str(_ndk_compiler(abi))]
    program = folder / _PROGRAM
    source = Path(native.__file__).parent / "tools" / f"{_PROGRAM}.cc"
    command = [*compiler, *native.FLAGS, *_LINKER_FLAGS, str(source), "-o", str(program), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise LarqDenseError(f"{compiler[0]} cannot build {source.name}:\n{built.stderr.strip()}")
    xnor = native.build(folder, compiler, _LINKER_FLAGS)
    if xnor is None:
        raise LarqDenseError(f"{compiler[0]} cannot build the XNOR runtime, as said above.")
    return [program, xnor, library]


def time_on_phone(
    phone: Phone,
    kit: Sequence[Path],
    entrants: Sequence[PhoneCandidate],
    picture: NDArray[np.float32],
    repeats: int,
) -> PhoneRun:
    """Time all candidates on the phone in turn, again and again, as `time_interleaved` does here.

    Args:
        phone: Where.
        kit: What `build_kit` returned.
        entrants: What to run.
        picture: The input, float32 `[1, height, width, 3]`.
        repeats: How many turns, at least 1.

    Raises:
        LarqDenseError: The phone cannot be reached, or cannot run a candidate.
    """
    with phone.scratch() as remote, tempfile.TemporaryDirectory() as local:
        files = {entrant.file_name: entrant.file for entrant in entrants}
        files[_PICTURE] = picture.astype(np.float32).tobytes()
        for name, content in files.items():
            Path(local, name).write_bytes(content)
        phone.push([*kit, *(Path(local, name) for name in files)], remote)
        printed = phone.shell(
            f"cd {remote} && chmod 755 {_PROGRAM} && ./{_PROGRAM} ./{_LITERT} ./{_XNOR} {_PICTURE} "
            f"{repeats} {' '.join(entrant.argument for entrant in entrants)}"
        )
        output = Path(local, f"{_PICTURE}.output")
        phone.pull(f"{remote}/{output.name}", output)
        measured = json.loads(printed.splitlines()[-1])
        timings = [
            Timing(entrant, tuple(milliseconds))
            for entrant, milliseconds in zip(entrants, measured["milliseconds"], strict=True)
        ]
        return PhoneRun(timings, np.fromfile(output, np.float32), _describe(phone, measured))


def label_agreement(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the share of the pixels to which two logits `[1, height, width, channels]` agree."""
    if first.shape[-1] == 1:
        return float(np.mean((first >= 0) == (second >= 0)))
    return float(np.mean(first.argmax(-1) == second.argmax(-1)))


def _describe(phone: Phone, measured: dict[str, Any]) -> dict[str, Any]:
    maker, model, chip, release, abi = phone.properties(
        "ro.product.manufacturer",
        "ro.product.model",
        "ro.soc.model",
        "ro.build.version.release",
        "ro.product.cpu.abi",
    )
    return {
        "cpu": f"{maker} {model}" + (f" ({chip})" if chip else ""),
        "instruction_sets": measured["instruction_sets"],
        "cores": int(phone.shell("nproc")),
        "system": f"Android {release} {abi}",
        "tflite": measured["tflite"],
    }


def _read_litert(path: Path, abi: str) -> bytes:
    """Return LiteRT's library for a processor, out of an AAR where `path` is one."""
    try:
        if not zipfile.is_zipfile(path):
            return path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            inside = [f"jni/{abi}/{name}" for name in _LITERT_NAMES]
            for name in archive.namelist():
                if name in inside:
                    return archive.read(name)
    except (*DAMAGED_ZIP, OSError) as error:
        raise DataError(f"cannot read {path}: {error}; download it again.") from error
    raise DataError(
        f"{path} holds neither {' nor '.join(inside)}; take the .aar of "
        "com.google.ai.edge.litert:litert."
    )


def _ndk_compiler(abi: str) -> Path:
    """Return the NDK's C++ compiler for a processor."""
    ndk = os.environ.get("ANDROID_NDK_HOME")
    if not ndk:
        raise LarqDenseError(
            "ANDROID_NDK_HOME is not set; install Android's NDK (in Android Studio's SDK Manager) "
            "and let it name the NDK's folder."
        )
    pattern = f"toolchains/llvm/prebuilt/*/bin/{_TARGETS[abi]}{_API}-clang++"
    found = sorted(Path(ndk).glob(pattern))
    if not found:
        raise LarqDenseError(f"ANDROID_NDK_HOME is {ndk}, but holds no {pattern}.")
    return found[0]
