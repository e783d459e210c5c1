"""Fetches a 64-bit Arm Debian with Python, and what a base install of the package needs there.

    python tests/arm64/make_root.py FOLDER
    LARQ_DENSE_ARM64_ROOT=FOLDER pytest tests/arm64

Some 450 MB, by apt (with a state of its own: the machine's packages and architectures stay as they
are) and pip. `FOLDER/debian` holds Debian 12's Python 3.11, `FOLDER/site` the aarch64 wheels of the
base install's requirements.
"""

from __future__ import annotations

import argparse
import configparser
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCE = f"deb [signed-by={KEYS}] http://deb.debian.org/debian bookworm main\n"

# LiteRT 2.3.0 crashes in qemu 7.2 (Debian 12's); NumPy 1.26 is what TensorFlow's side runs with.
VERSIONS = ("ai-edge-litert==2.0.3", "numpy==1.26.4")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    if folder.exists():
        print(f"{folder} exists; remove it or name another folder.", file=sys.stderr)
        return 1
    if not KEYS.exists():
        print(f"{KEYS} is missing: install debian-archive-keyring.", file=sys.stderr)
        return 1
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            unpack_debian(fresh / "debian", Path(scratch) / "apt")
            pip_install(fresh / "site", *requirements(), *VERSIONS)
            fresh.rename(folder)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"{folder} was not made: {error}", file=sys.stderr)
        return 1
    return 0


def unpack_debian(root: Path, state: Path) -> None:
    """Unpack Python and all that it depends on into `root`; apt keeps its files in `state`."""
    archives = state / "cache" / "archives"
    for missing in (state / "lists" / "partial", archives / "partial", root):
        missing.mkdir(parents=True)
    (state / "status").touch()  # nothing is installed there yet
    (state / "sources.list").write_text(SOURCE)
    options = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",  # apt's own user may not enter a private folder
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    install = ["install", "-y", "--download-only", "--no-install-recommends"]
    subprocess.run([*apt, *install, "python3.11", "libstdc++6", "musl"], check=True)
    for package in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)


def requirements() -> list[str]:
    """Return what the base install needs."""
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg")
    return config["options"]["install_requires"].split("\n")[1:]


def pip_install(target: Path, *arguments: str | Path) -> None:
    """Install wheels for 64-bit Arm, as pip does on a machine with Debian 12's glibc 2.36."""
    platforms = ["linux_aarch64", "manylinux2014_aarch64"]
    platforms += [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)]
    command: Sequence[str | Path] = [
        *(sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", target),
        *("--only-binary=:all:", "--python-version=3.11", "--implementation=cp"),
        *(f"--platform={platform}" for platform in platforms),
        *arguments,
    ]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
