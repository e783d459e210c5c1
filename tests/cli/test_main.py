"""The command group: lazy commands, help, exit codes, sentences instead of tracebacks."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable

import click
import numpy as np
import pytest
from click.testing import CliRunner

from larq_dense import __version__
from larq_dense.cli import main
from larq_dense.cli.output import print_json, print_table
from larq_dense.common.errors import DataError
from larq_dense.common.quiet import without_chatter

COMMANDS = main.list_commands(click.Context(main))


@pytest.fixture
def run_raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], tuple[int, str, str]]:
    """Return a function that runs `larq-dense zoo` with a command that raises."""

    def run(error: BaseException) -> tuple[int, str, str]:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(type(main), "get_command", lambda *_: command)
        result = CliRunner().invoke(main, ["zoo"])
        return result.exit_code, result.stdout, result.stderr

    return run


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output


def test_version() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "larq_dense.cli", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("larq-dense")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in commands:
        assert each.help and "larq-dense" in each.help, each.name
        for parameter in each.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (each.name, parameter.name)


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["predict", "--nonsense"]])
def test_usage_errors_exit_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Error:" in result.stderr


def test_a_users_mistake_is_one_sentence_and_exit_1(
    run_raising: Callable[[BaseException], tuple[int, str, str]],
) -> None:
    assert run_raising(DataError("the split 'x' is empty.")) == (
        1,
        "",
        "Error: the split 'x' is empty.\n",
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EACCES, "change the permissions"),
        (errno.ENOENT, "check the path"),
    ],
)
def test_the_systems_refusals_are_sentences(
    run_raising: Callable[[BaseException], tuple[int, str, str]], number: int, words: str
) -> None:
    code, _, message = run_raising(OSError(number, os.strerror(number), "some/file"))
    assert code == 1
    assert message.startswith(f"Error: some/file: {os.strerror(number)}")
    assert words in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyboardInterrupt(), "stopped from the keyboard"), (MemoryError(), "not enough memory")],
)
def test_interrupts_and_lack_of_memory_are_sentences(
    run_raising: Callable[[BaseException], tuple[int, str, str]], error: BaseException, said: str
) -> None:
    code, _, message = run_raising(error)
    assert code == 1
    assert message.startswith(f"Error: {said}")


def test_a_fault_of_ours_is_not_hidden(
    run_raising: Callable[[BaseException], tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_raising(DataError("x."))

    @click.command()
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(main), "get_command", lambda *_: command)
    assert isinstance(CliRunner().invoke(main, ["zoo"]).exception, ZeroDivisionError)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-c", "from larq_dense.cli import main; main(prog_name='larq-dense')"],
        env={**os.environ, "_LARQ_DENSE_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "larq-dense" in script.stdout


def test_completion_offers_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from larq_dense.cli import main; main(prog_name='larq-dense')"],
        env={
            **os.environ,
            "_LARQ_DENSE_COMPLETE": "bash_complete",
            "COMP_WORDS": "larq-dense ev",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,evaluate"]


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": np.float32(0.5), "b": [float("nan"), np.inf], "c": np.arange(2), 1: None})
    document = json.loads(
        capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"not JSON: {name}")
    )
    assert document == {"a": 0.5, "b": [None, None], "c": [0, 1], "1": None}


def test_tables_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "value"], [["[red]x[/red]", 1.23456], ["y", None]], title="title")
    title, header, first, second = capsys.readouterr().out.splitlines()
    assert title.strip() == "title"
    assert header.split() == ["name", "value"]
    assert first.split() == ["[red]x[/red]", "1.235"]
    assert second.split() == ["y", "-"]


def test_chatter_is_discarded_and_errors_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError), without_chatter():
        os.write(2, b"E0000 no GPU\n")
        raise DataError("no such folder.")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
