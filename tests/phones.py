"""Phones for tests: a folder behind a fake `adb`, and programs for 64-bit Arm under QEMU."""

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from fake_adb import write_script

SERIAL = "emulated"
PROPERTIES = {
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.manufacturer": "QEMU",
    "ro.product.model": "user mode",
    "ro.soc.model": "max",
    "ro.build.version.release": "15",
}


def connect_phone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a fake `adb` in front of the PATH and return the folder that stands for its phone."""
    phone, programs = folder / "phone", folder / "bin"
    (phone / "data" / "local" / "tmp").mkdir(parents=True)
    (phone / "devices").write_text(f"{SERIAL}\tdevice\n")
    (phone / "properties.json").write_text(json.dumps(PROPERTIES))
    fake = Path(__file__).with_name("fake_adb.py")
    write_script(programs / "adb", f"exec {sys.executable} {fake} {phone}")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    return phone


def emulate_arm64(phone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the phone run 64-bit Arm programs, set up an NDK for it, and return LiteRT's AAR.

    Skips the test where QEMU, a compiler or the libraries for 64-bit Arm are absent.
    """
    qemu, compiler = shutil.which("qemu-aarch64-static"), shutil.which("aarch64-linux-gnu-g++")
    named = os.environ.get("LARQ_DENSE_ARM64_ROOT")
    if qemu is None or compiler is None:
        pytest.skip("needs qemu-aarch64-static and aarch64-linux-gnu-g++")
    if named is None:
        pytest.skip("LARQ_DENSE_ARM64_ROOT names no folder with libraries for 64-bit Arm")
    library = _stock_library(Path(named) / "site" / "ai_edge_litert")
    (phone / "emulator").write_text(f"{qemu} -L {Path(named) / 'debian'}")
    ndk = phone / "ndk"
    tools = ndk / "toolchains" / "llvm" / "prebuilt" / "linux-x86_64" / "bin"
    write_script(tools / "aarch64-linux-android24-clang++", f"exec {compiler}")
    monkeypatch.setenv("ANDROID_NDK_HOME", str(ndk))
    aar = phone / "litert.aar"
    with zipfile.ZipFile(aar, "w") as archive:
        archive.writestr("AndroidManifest.xml", "")
        archive.write(library, "jni/arm64-v8a/libLiteRt.so")
    return aar


def _stock_library(folder: Path) -> Path:
    """Return the library of LiteRT's wheel that exports TensorFlow Lite's C API."""
    for path in sorted(folder.glob("libLiteRt*.so")):
        if b"\0TfLiteInterpreterCreate\0" in path.read_bytes():
            return path
    pytest.skip(f"no library in {folder} exports TensorFlow Lite's C API, as 1.4 to 2.1 do")
