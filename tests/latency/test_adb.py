"""What is said to `adb`, and what is told of a phone that cannot be used."""

from pathlib import Path

import phones
import pytest

from larq_dense.latency.adb import AdbError, connect


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return phones.connect_phone(tmp_path, monkeypatch)


def test_the_only_phone_is_found_and_obeys(phone: Path, tmp_path: Path) -> None:
    found = connect()
    assert found.serial == phones.SERIAL
    assert found.properties("ro.product.model", "ro.none", "ro.soc.model") == [
        "user mode",
        "",
        "max",
    ]
    sent = [tmp_path / "one two", tmp_path / "three"]
    for path in sent:
        path.write_text(path.name)
    with found.scratch() as folder:
        assert folder.startswith("/data/local/tmp/larq_dense.")
        found.push(sent, folder)
        assert found.shell(f"cd {folder} && cat *") == "one twothree"
        found.pull(f"{folder}/three", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "three"
    assert not list((phone / "data/local/tmp").iterdir())


def test_a_failure_ends_with_the_last_line_of_what_adb_says(phone: Path, tmp_path: Path) -> None:
    found = connect()
    with pytest.raises(AdbError, match=r"adb shell failed: it is full\.$"):
        found.shell("echo first >&2; echo it is full. >&2; exit 3")
    with pytest.raises(AdbError, match=r"adb shell failed: exit status 3\.$"):
        found.shell("exit 3")
    with pytest.raises(AdbError, match=r"adb push failed: adb: error: failed to copy"):
        found.push([phone / "devices"], "/data/local/tmp/none")
    with pytest.raises(AdbError, match=r"adb pull failed: adb: error: failed to stat"):
        found.pull("/data/local/tmp/none", tmp_path / "none")


def test_the_folder_goes_with_a_failed_run_too(phone: Path) -> None:
    found = connect()
    with pytest.raises(AdbError), found.scratch() as folder:
        found.shell(f"touch {folder}/left && false")
    assert not list((phone / "data/local/tmp").iterdir())


@pytest.mark.parametrize(
    ("listed", "serial", "sentence"),
    [
        ("", None, "no phone is connected"),
        ("a\tdevice\nb\tdevice\n", None, r"several phones are connected \(a, b\)"),
        ("a\tdevice\n", "c", "no phone of the serial c is connected; connected: a"),
        ("a\tunauthorized\n", None, "allow USB debugging on its screen"),
        ("a\toffline\n", None, r"a cannot be used \(offline\)"),
        ("a\tno permissions (user in plugdev?)\n", None, r"\(no permissions \(user in plugdev\?\)"),
    ],
)
def test_a_phone_that_cannot_be_used(
    phone: Path, listed: str, serial: str | None, sentence: str
) -> None:
    (phone / "devices").write_text(listed)
    with pytest.raises(AdbError, match=sentence):
        connect(serial)


def test_a_serial_chooses_among_several(phone: Path) -> None:
    (phone / "devices").write_text("a\toffline\nb\tdevice\n")
    connect("b").shell("true")
    assert (phone / "log").read_text().splitlines()[-1] == "-s b shell true"


def test_no_adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AdbError, match="platform-tools"):
        connect()
