"""What a wheel must be, told from its file: tag, library, and what that asks of a system.

python tools/wheel_checks.py dist/*.whl
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import lief

RUNTIME = "larq_dense/runtime/"
EXPORTS = {"tflite_plugin_create_delegate", "larq_dense_engine_open", "larq_dense_engine_run"}
# What a linker adds.
LINKER_EXPORTS = {"init", "fini", "__dso_handle", "_dso_handle", "_mh_dylib_header"}
OUR_EXPORTS = re.compile(r"larq_dense_\w+|tflite_plugin_\w+")

# Platform tag → the library's name, the processor, and the libraries that every such system has.
_LINUX = r"libc\.so(\.6)?|lib(pthread|m)\.so\.[06]|ld-linux-x86-64\.so\.2|ld-linux-aarch64\.so\.1"
_MAC = r"/usr/lib/libSystem\.B\.dylib"
_WINDOWS = r"(KERNEL32|api-ms-win-crt-\w+-l1-1-0|ucrtbase)\.dll"
SYSTEMS = {
    "linux": ("so", _LINUX),
    "macosx": ("dylib", _MAC),
    "win": ("dll", _WINDOWS),
}
MACHINES = {
    "x86_64": {"X86_64", "AMD64"},
    "amd64": {"AMD64"},
    "aarch64": {"AARCH64"},
    "arm64": {"ARM64"},
}


class WheelError(Exception):
    """A wheel could not be built, or is not what its name says."""


def check(wheel: Path) -> list[str]:
    """Check a wheel.

    Returns:
        What was found, a line each.

    Raises:
        WheelError: It is not what it should be.
    """
    tag = wheel.stem.split("-", 2)[2]
    match = re.fullmatch(r"py3-none-(?:many|musl)?(linux|macosx|win)_?[\d_]*?(\w+?)", tag)
    machine = next((name for name in MACHINES if tag.endswith(name)), None)
    if match is None or machine is None:
        raise WheelError(f"{wheel.name} is tagged {tag}, which is no platform's.")
    ending, allowed = SYSTEMS[match[1]]
    name = f"{RUNTIME}liblarq_dense_xnor.{ending}"
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        libraries = [each for each in archive.namelist() if re.search(r"\.(so|dylib|dll)$", each)]
        if libraries != [name]:
            raise WheelError(f"{wheel.name} holds the libraries {libraries}, not [{name!r}].")
        path = archive.extract(name, scratch)
        binary = lief.parse(path)
        if not isinstance(binary, lief.ELF.Binary | lief.MachO.Binary | lief.PE.Binary):
            raise WheelError(f"{name} in {wheel.name} is no shared library.")
        report = [_size(Path(path)), _machine(binary, MACHINES[machine], wheel)]
    report.append(_exports(binary, wheel))
    report.append(_needs(binary, allowed, wheel))
    if isinstance(binary, lief.ELF.Binary):
        report.append(_policy(wheel, tag))
    if isinstance(binary, lief.MachO.Binary):
        report.append(_mac(binary, tag, wheel))
    return report


Binary = lief.ELF.Binary | lief.MachO.Binary | lief.PE.Binary


def _size(library: Path) -> str:
    return f"library: {library.stat().st_size / 1024:.0f} KiB"


def _machine(binary: Binary, wanted: set[str], wheel: Path) -> str:
    if isinstance(binary, lief.ELF.Binary):
        found = binary.header.machine_type.name
    elif isinstance(binary, lief.MachO.Binary):
        found = binary.header.cpu_type.name
    else:
        found = binary.header.machine.name
    if found not in wanted:
        raise WheelError(f"the library in {wheel.name} is for {found}, not {sorted(wanted)}.")
    return f"processor: {found}"


def _exports(binary: Binary, wheel: Path) -> str:
    if isinstance(binary, lief.PE.Binary):
        export = binary.get_export()
        found = {str(entry.name) for entry in export.entries} if export else set()
    else:
        found = {str(symbol.name).removeprefix("_") for symbol in binary.exported_symbols}
        found -= LINKER_EXPORTS
    foreign = sorted(name for name in found if not OUR_EXPORTS.fullmatch(name))
    missing = sorted(EXPORTS - found)
    if foreign or missing:
        raise WheelError(f"the library in {wheel.name} exports {foreign} and lacks {missing}.")
    return f"exports: {', '.join(sorted(found))}"


def _needs(binary: Binary, allowed: str, wheel: Path) -> str:
    if isinstance(binary, lief.MachO.Binary):
        # The first is the library's own name.
        own = lief.MachO.LoadCommand.TYPE.ID_DYLIB
        needed = [each.name for each in binary.libraries if each.command != own]
    elif isinstance(binary, lief.PE.Binary):
        needed = [each.name for each in binary.imports]
    else:
        needed = list(binary.libraries)
    names = sorted(map(str, needed))
    wrong = [name for name in names if not re.fullmatch(allowed, name, re.IGNORECASE)]
    if wrong:
        raise WheelError(f"the library in {wheel.name} needs {wrong}, which a system may lack.")
    return f"needs: {', '.join(names)}"


def _policy(wheel: Path, tag: str) -> str:
    """Let auditwheel say which Linux systems the wheel runs on, by the symbols that it uses."""
    # Nothing of this machine is looked at: its own libc.so may be a linker's script.
    show = ["auditwheel", "show", "--json", "--ldpaths", ""]
    command = [sys.executable, "-m", *show, str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WheelError(f"auditwheel cannot read {wheel.name}: {done.stderr.strip()}")
    shown = json.loads(done.stdout)
    wanted = tag.removeprefix("py3-none-")
    # musl's loader answers to libc.so itself, so there only the symbols count.
    key = "sym_tag" if wanted.startswith("musl") else "overall_tag"
    # An older system than the tag's is as good.
    same_kind = shown[key].split("_")[0] == wanted.split("_")[0]
    if not same_kind or _version(shown[key]) > _version(wanted):
        raise WheelError(f"{wheel.name} is tagged {wanted}, but auditwheel says {done.stdout}")
    return f"auditwheel: {shown[key]}, symbols {shown['versioned_symbols']}"


def _version(tag: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"_(\d+)(?=_)", tag)))


def _mac(binary: lief.MachO.Binary, tag: str, wheel: Path) -> str:
    command = binary.build_version or binary.version_min
    if command is None:
        raise WheelError(f"the library in {wheel.name} does not say which macOS it needs.")
    oldest = list(command.minos if hasattr(command, "minos") else command.version)[:2]
    if tuple(oldest) > _version(tag):
        raise WheelError(f"the library in {wheel.name} needs macOS {oldest}, not {tag}.")
    # Apple's processors refuse code without a signature; the linker's own will do.
    if tag.endswith("arm64") and not binary.has_code_signature:
        raise WheelError(f"the library in {wheel.name} is not signed.")
    signed = "signed" if binary.has_code_signature else "not signed"
    return f"macOS: {oldest[0]}.{oldest[1]} or later, {signed}"


def main() -> int:
    """Check the wheels named on the command line."""
    try:
        for name in sys.argv[1:]:
            print(name, *check(Path(name)), sep="\n  ")
    except WheelError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
