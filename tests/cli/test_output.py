"""Tables and progress on a terminal, where they fold and move, and elsewhere."""

import contextlib
import io
import itertools

import click
import pytest

from larq_dense.cli.output import print_table
from larq_dense.common.progress import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


TEXT = "sky 10.0 %, road 20.0 %, tree 30.0 %, people 40.0 %"


def test_a_wide_table_is_folded_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal):
        print_table(["name", "shares", "ms"], [["a", TEXT, 1.5], ["b", "x", 22]])
    header, first, second, third = terminal.getvalue().splitlines()
    assert click.unstyle(header).split() == ["name", "shares", "ms"]
    assert max(map(len, (first, second, third))) <= 40
    assert first.startswith("a     sky 10.0 %")
    assert first.endswith(" 1.5")
    assert " ".join([*first.split()[1:-1], *second.split()]) == TEXT
    assert third.split() == ["b", "x", "22"]


def test_a_wide_table_is_not_folded_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "shares"], [["a", 9 * TEXT], ["", None]])
    _, first, second = capsys.readouterr().out.splitlines()
    assert first == f"a     {9 * TEXT}"
    assert second == "      -"


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "value"], [])
    assert capsys.readouterr().out == "name  value\n"


@pytest.mark.parametrize("length", [None, 3])
def test_progress_moves_on_a_terminal(length: int | None) -> None:
    items = [1, 2, 3] if length is None else iter([1, 2, 3])
    with contextlib.redirect_stderr(Terminal()) as terminal:
        assert list(progress(items, "counting", length)) == [1, 2, 3]
    assert "counting" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_short_work_writes_no_progress_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([1, 2, 3], "counting")) == [1, 2, 3]
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("length", [None, 3])
def test_long_work_writes_lines_into_a_file(
    length: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each look at the clock is 11 seconds after the one before.
    monkeypatch.setattr("time.monotonic", itertools.count(0, 11).__next__)
    items = [1, 2, 3] if length is None else (n for n in (1, 2, 3))
    assert list(progress(items, "counting", length)) == [1, 2, 3]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "counting: 1 of 3 done\n"
