"""Compiles `native/` for Android without the NDK and looks at the libraries (native/android).

What is checked is the source and `native/CMakeLists.txt`, which the NDK builds too; the library
that a phone runs comes from there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elf import EXECUTABLE, LOAD, SHARED_OBJECT, STACK, THREAD_LOCAL, WRITABLE, Elf

CHECKOUT = Path(__file__).resolve().parents[2]
NATIVE = CHECKOUT / "native"
JNI = CHECKOUT / "android" / "xnor"
DELEGATE = "liblarq_dense_xnor.so"
PAGE = 16384  # Google Play asks for pages of 16 KB.
LIBRARIES = {"libc.so", "libm.so", "libdl.so"}
MACHINES = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}
EXPORTS = {
    "tflite_plugin_create_delegate",
    "tflite_plugin_destroy_delegate",
    "larq_dense_xnor_instruction_set",
    "larq_dense_xnor_limit",
    *re.findall(
        r"LARQ_DENSE_API [^;]*?\b(larq_dense_engine_\w+)\(",
        (NATIVE / "include/larq_dense_engine.h").read_text(),
    ),
}
JNI_EXPORTS = {
    f"Java_larqdense_xnor_{name}"
    for name in (
        *("XnorDelegate_create", "XnorDelegate_destroy"),
        *("XnorEngine_open", "XnorEngine_close", "XnorEngine_describe", "XnorEngine_run"),
    )
}
BIONIC = set(re.findall(r"^SINCE\(\d+, (\w+)\)", (NATIVE / "android/libc.c").read_text(), re.M))

_missing = [tool for tool in ("cmake", "clang", "clang++", "ld.lld") if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(_missing), reason=f"not installed: {', '.join(_missing)}")


def faults(library: Path, machine: str, exports: set[str], *others: Path) -> list[str]:
    """Return what is wrong with a library for Android that may also need `others`."""
    elf = Elf.read(library)
    loaded = [s for s in elf.segments if s.kind == LOAD]
    stack = [s for s in elf.segments if s.kind == STACK]
    checks = {
        "machine": elf.machine == machine,
        "not a shared object": elf.kind == SHARED_OBJECT,
        "soname": elf.soname == library.name,
        "page size": bool(loaded) and all(s.alignment >= PAGE for s in loaded),
        "writable code": not any(s.flags & WRITABLE and s.flags & EXECUTABLE for s in loaded),
        "executable stack": len(stack) == 1 and not stack[0].flags & EXECUTABLE,
        # Loaders before API 29 know none.
        "thread-local storage": all(s.kind != THREAD_LOCAL for s in elf.segments),
        "text relocations": not elf.text_relocations,
        "exports": elf.exported == exports,
        "undefined": elf.undefined <= BIONIC.union(*(Elf.read(other).exported for other in others)),
        "needed": set(elf.needed) <= LIBRARIES.union(other.name for other in others),
    }
    return [name for name, fine in checks.items() if not fine]


def build(source: Path, folder: Path, abi: str, flags: str = "") -> None:
    toolchain = NATIVE / "android" / "toolchain.cmake"
    for arguments in (
        ["-S", source, "-B", folder, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", f"-DANDROID_ABI={abi}"],
        ["--build", folder, "-j2"],
    ):
        result = subprocess.run(
            ["cmake", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CXXFLAGS": flags},
        )
        assert result.returncode == 0, result.stdout + result.stderr


def jni_headers() -> Path | None:
    """Return the JDK's folder of headers; the NDK has its own `jni.h`."""
    javac = shutil.which("javac")
    folder = Path(javac).resolve().parents[1] / "include" if javac else Path()
    return folder if (folder / "jni.h").exists() else None


@pytest.fixture(scope="module", params=MACHINES)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Build the libraries of `android/xnor`, or only the delegate where there is no JDK."""
    abi = str(request.param)
    folder = tmp_path_factory.mktemp(abi)
    headers = jni_headers()
    if headers:
        build(JNI, folder, abi, f"-isystem {headers} -isystem {headers / 'linux'}")
        return MACHINES[abi], folder / "native" / DELEGATE
    build(NATIVE, folder, abi)
    return MACHINES[abi], folder / DELEGATE


def test_the_delegate_suits_android(built: tuple[str, Path]) -> None:
    machine, delegate = built
    assert faults(delegate, machine, EXPORTS) == []


def test_the_jni_library_suits_android(built: tuple[str, Path]) -> None:
    if jni_headers() is None:
        pytest.skip("no JDK with jni.h is installed")
    machine, delegate = built
    library = delegate.parents[1] / "liblarq_dense_xnor_jni.so"
    assert faults(library, machine, JNI_EXPORTS, delegate) == []


PAGES = f"-Wl,-z,max-page-size={PAGE}"
SONAME = "-Wl,-soname,libtry.so"
CODE = 'extern "C" __attribute__((visibility("default"))) int run() { return 1; }\n'


@pytest.mark.parametrize(
    ("more_code", "flags", "fault"),
    [
        ("", [PAGES, SONAME], None),
        ("", [SONAME], "page size"),
        ("", [PAGES], "soname"),
        ("", [PAGES, SONAME, "-Wl,-z,execstack"], "executable stack"),
        ('asm(".section .patched, \\"awx\\"\\n.quad 0");', [PAGES, SONAME], "writable code"),
        ("int two() { return 2; }", [PAGES, SONAME, "-fvisibility=default"], "exports"),
        (
            "void* operator new(unsigned long);int* make() { return new int; }",
            [PAGES, SONAME],
            "undefined",
        ),
        (
            "thread_local int of_thread; int* get() { return &of_thread; }",
            [PAGES, SONAME, "-fno-emulated-tls"],
            "thread-local storage",
        ),
        ('asm(".text\\n.quad run");', [PAGES, SONAME, "-Wl,-z,notext"], "text relocations"),
    ],
)
def test_a_fault_is_seen(
    more_code: str, flags: list[str], fault: str | None, tmp_path: Path
) -> None:
    library = tmp_path / "libtry.so"
    command = ["clang++", "--target=aarch64-linux-android24", "-fuse-ld=lld", "-nostdlib", "-fPIC"]
    command += ["-shared", "-fvisibility=hidden", *flags, "-x", "c++", "-", "-o", str(library)]
    subprocess.run(command, input=CODE + more_code, text=True, check=True)
    assert faults(library, "aarch64", {"run"}) == ([fault] if fault else [])


def test_another_machine_and_another_library_are_seen(tmp_path: Path) -> None:
    library = tmp_path / "libtry.so"
    other = tmp_path / "libother.so"
    base = ["clang++", "--target=x86_64-linux-android24", "-fuse-ld=lld", "-nostdlib", "-shared"]
    base += ["-fvisibility=hidden", PAGES, "-x", "c++", "-", "-o"]
    subprocess.run([*base, str(other), "-Wl,-soname,libc++.so"], input="", text=True, check=True)
    subprocess.run(
        [*base, str(library), SONAME, "-Wl,--no-as-needed", "-x", "none", str(other)],
        input=CODE,
        text=True,
        check=True,
    )
    assert faults(library, "aarch64", {"run"}) == ["machine", "needed"]
