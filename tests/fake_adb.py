"""Stands in for Android's `adb`: the phone is a folder, and its programs run under QEMU.

    python fake_adb.py PHONE ADB_ARGUMENTS...

`PHONE/devices` is what `adb devices` lists, `PHONE/properties.json` holds Android's system
properties, `PHONE/emulator` the command that runs the phone's programs, and
`PHONE/data/local/tmp` stands for the folder of that name on the phone. `PHONE/log` tells of
every call.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

REMOTE = "/data/local/tmp"


def main() -> int:
    phone, arguments = Path(sys.argv[1]), sys.argv[2:]
    with (phone / "log").open("a") as log:
        print(shlex.join(arguments), file=log)
    if arguments == ["devices"]:
        print("List of devices attached")
        print((phone / "devices").read_text())
        return 0
    flag, _serial, verb, *rest = arguments
    assert flag == "-s"
    return {"shell": shell, "push": push, "pull": pull, "getprop": getprop}[verb](phone, *rest)


def shell(phone: Path, command: str) -> int:
    """Run a command line with the phone's folder and properties in place of this machine's."""
    itself = shlex.join([sys.executable, __file__, str(phone), "-s", "", "getprop"])
    write_script(phone / "tools" / "getprop", f"exec {itself}")
    path = f"{phone / 'tools'}{os.pathsep}{os.environ['PATH']}"
    command = command.replace(REMOTE, f"{phone}{REMOTE}")
    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout.replace(f"{phone}{REMOTE}", REMOTE), end="")
    return done.returncode


def getprop(phone: Path, name: str) -> int:
    print(json.loads((phone / "properties.json").read_text()).get(name, ""))
    return 0


def push(phone: Path, *arguments: str) -> int:
    """Copy files; a program becomes a script that runs it as this phone's processor would."""
    *sources, folder = arguments
    target = Path(f"{phone}{folder}")
    if not target.is_dir():
        print(f"adb: error: failed to copy to '{folder}': no such directory", file=sys.stderr)
        return 1
    for source in map(Path, sources):
        copied = Path(shutil.copyfile(source, target / source.name))
        if not source.suffix and source.read_bytes().startswith(b"\x7fELF"):
            program = copied.rename(target / f"{source.name}.elf")
            program.chmod(0o755)
            write_script(copied, f"exec {(phone / 'emulator').read_text()} {program}")
    return 0


def pull(phone: Path, source: str, target: str) -> int:
    try:
        shutil.copyfile(f"{phone}{source}", target)
    except OSError:
        print(f"adb: error: failed to stat remote object '{source}'", file=sys.stderr)
        return 1
    return 0


def write_script(path: Path, command: str) -> None:
    """Write a shell script that passes its arguments on to a command."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{command} "$@"\n')
    path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
