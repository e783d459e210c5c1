"""A connected Android phone, by way of Android's own tool `adb`."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from larq_dense.common.errors import LarqDenseError


class AdbError(LarqDenseError):
    """No phone can be reached, or it refused what was asked of it."""


class Phone:
    """A phone that accepts commands.

    Args:
        serial: What `adb devices` calls it.
    """

    def __init__(self, serial: str) -> None:
        self.serial = serial

    def shell(self, command: str) -> str:
        """Run a command line on the phone and return what it prints.

        Raises:
            AdbError: It failed; the message ends with the last line of its complaint.
        """
        return _adb("shell", command, serial=self.serial)

    def push(self, sources: Sequence[Path], folder: str) -> None:
        """Copy files into a folder on the phone.

        Raises:
            AdbError: They could not be copied.
        """
        _adb("push", *map(str, sources), folder, serial=self.serial)

    def pull(self, source: str, target: Path) -> None:
        """Copy a file from the phone.

        Raises:
            AdbError: It could not be copied.
        """
        _adb("pull", source, str(target), serial=self.serial)

    def properties(self, *names: str) -> list[str]:
        """Return Android's system properties; an unknown one is empty."""
        printed = self.shell("; ".join(f"getprop {name}" for name in names))
        return [line.strip() for line in printed.split("\n")[: len(names)]]

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """Make a folder of one's own, from which programs may run, and remove it in the end."""
        folder = self.shell("mktemp -d /data/local/tmp/larq_dense.XXXXXX").strip()
        try:
            yield folder
        finally:
            # The phone may be gone by now, which the error that led here says already.
            with contextlib.suppress(AdbError):
                self.shell(f"rm -rf {folder}")


def connect(serial: str | None = None) -> Phone:
    """Return the connected phone.

    Args:
        serial: Which one; may be left out where there is only one.

    Raises:
        AdbError: There is none, or it is not clear which, or it does not let us in.
    """
    listed = [line.split(None, 1) for line in _adb("devices").splitlines()[1:] if line.strip()]
    states = {found: state.strip() for found, state in listed}
    known = ", ".join(states)
    if not states:
        raise AdbError(
            "no phone is connected; switch on USB debugging in its developer options, connect it, "
            "and see that `adb devices` lists it."
        )
    if serial is None and len(states) > 1:
        raise AdbError(
            f"several phones are connected ({known}); choose one by --serial or ANDROID_SERIAL."
        )
    chosen = serial or next(iter(states))
    if chosen not in states:
        raise AdbError(f"no phone of the serial {chosen} is connected; connected: {known}.")
    if states[chosen] == "unauthorized":
        raise AdbError(f"the phone {chosen} is locked to us; allow USB debugging on its screen.")
    if states[chosen] != "device":
        raise AdbError(f"the phone {chosen} cannot be used ({states[chosen]}); connect it again.")
    return Phone(chosen)


def _adb(verb: str, *arguments: str, serial: str | None = None) -> str:
    program = shutil.which("adb")
    if program is None:
        raise AdbError("no adb on the PATH; install Android's platform-tools and add their folder.")
    phone = [] if serial is None else ["-s", serial]
    command = [program, *phone, verb, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[-1] if said else f"exit status {done.returncode}"
        raise AdbError(f"adb {verb} failed: {reason.removesuffix('.')}.")
    return done.stdout
