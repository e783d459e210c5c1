"""Builds the wheel of every platform on this machine, and checks each.

    pip install -e '.[wheels]'
    python tools/wheels.py                       # all platforms, into dist/
    python tools/wheels.py manylinux_2_17_x86_64 # only some

The source distribution is built first and the wheels from it, so that what it lacks is noticed.
Zig's C++ compiler (`ziglang` on PyPI) builds the library for every platform: it brings the headers
and the stubs of each system's libc, glibc 2.17 among them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wheel_checks import WheelError, check

CHECKOUT = Path(__file__).resolve().parents[1]

# Platform tag → what Zig calls it. The tags are the oldest systems that the library runs on.
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_10_15_x86_64": "x86_64-macos.10.15",
    "win_amd64": "x86_64-windows-gnu",
}
# The library uses nothing of the C++ library; without the flag Zig would build it first.
LINK_FLAGS = "-nostdlib++ -s"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("platforms", nargs="*", metavar="PLATFORM", help=", ".join(TARGETS))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "dist", metavar="DIR")
    arguments = parser.parse_args()
    platforms: list[str] = arguments.platforms or list(TARGETS)
    unknown = [name for name in platforms if name not in TARGETS]
    if unknown:
        parser.error(f"unknown platform {unknown[0]}; known: {', '.join(TARGETS)}")
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    try:
        source = build_source(output)
        for platform in platforms:
            wheel = build_wheel(source, platform, output)
            print(wheel, *check(wheel), sep="\n  ", flush=True)
    except (subprocess.CalledProcessError, WheelError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def cross_compiler(platform: str) -> dict[str, str]:
    """Return the environment in which `native/build.py` builds for a platform."""
    command = [sys.executable, "-m", "ziglang", "c++", "-target", TARGETS[platform]]
    return {**os.environ, "CXX": shlex.join(command), "LDFLAGS": LINK_FLAGS}


def build_source(output: Path) -> Path:
    """Build the source distribution from the files that git knows, and return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        # A development install leaves a library in the checkout, which must not reach a wheel.
        list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(list_files, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
        archive = ["tar", "--create", "--null", "--files-from=-", "--ignore-failed-read"]
        packed = subprocess.run(
            archive, cwd=CHECKOUT, check=True, input=listed.stdout, stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "--extract"], cwd=scratch, check=True, input=packed.stdout)
        return _build("--sdist", Path(scratch), output, dict(os.environ))


def build_wheel(source: Path, platform: str, output: Path) -> Path:
    """Build one platform's wheel from the source distribution and return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(source) as archive:
            archive.extractall(scratch, filter="data")
        (tree,) = Path(scratch).iterdir()
        option = f"--config-setting=--build-option=--plat-name={platform}"
        return _build("--wheel", tree, output, cross_compiler(platform), option)


def _build(kind: str, tree: Path, output: Path, environment: dict[str, str], *options: str) -> Path:
    """Run the `build` package on a tree and return the one file that it makes."""
    with tempfile.TemporaryDirectory() as folder:
        command: Sequence[str] = [sys.executable, "-m", "build", kind, "--outdir", folder, *options]
        done = subprocess.run(
            [*command, str(tree)], env=environment, text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise WheelError(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")
        (made,) = Path(folder).iterdir()
        target = output / made.name
        target.write_bytes(made.read_bytes())
        return target


if __name__ == "__main__":
    sys.exit(main())
