"""The command line `larq-dense`: one thin module for each command, imported on demand."""

import errno
import importlib
import logging
from typing import Any

import click

from larq_dense.common.errors import LarqDenseError, MissingExtraError
from larq_dense.version import __version__

# Name → summary. The summaries are here so that `larq-dense --help` imports no command.
_COMMANDS = {
    "ablate": "Train a recipe with parts of the method changed, and compare.",
    "benchmark": "Time a model: Keras, LCE, float and int8 baselines.",
    "convert": "Convert a model with Larq Compute Engine, audited.",
    "data": "Check a data set, or import polygons as one.",
    "demo": "Predict, convert and compare two entries on real pictures.",
    "diagnose": "Test the method's hypotheses on a model.",
    "evaluate": "Measure a model on labelled pictures.",
    "frontier": "Hold networks against each other: accuracy over milliseconds.",
    "predict": "Label pictures: overlays, masks or JSON.",
    "robustness": "Measure a model on noisy, blurred and badly lit pictures.",
    "serve": "Label pictures that come by HTTP.",
    "train": "Train a model by a recipe.",
    "zoo": "List, describe and publish the zoo's entries.",
}

_ENVIRONMENT_ERRORS = {
    errno.ENOSPC: "make room or choose another place",
    errno.EDQUOT: "make room or choose another place",
    errno.EACCES: "change the permissions or choose another place",
    errno.EPERM: "change the permissions or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "check the path",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "remove the links that point at each other",
}


def _sentence(error: OSError) -> str:
    """Say in one sentence what the operating system refused."""
    where = f"{error.filename}: " if error.filename else ""
    fix = _ENVIRONMENT_ERRORS[error.errno or 0]
    return f"{where}{error.strerror}; {fix}."


def _log_to_stderr() -> None:
    """Send the package's log to standard error, so that standard output holds results only."""
    logger = logging.getLogger("larq_dense")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"larq_dense.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a user's mistake becomes one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except LarqDenseError as error:
            message = str(error)
        except ModuleNotFoundError as error:
            package = (error.name or "").split(".")[0]
            if package in ("", "larq_dense"):
                raise
            message = str(MissingExtraError("this command", package))
        except KeyboardInterrupt:
            message = "stopped from the keyboard."
        except MemoryError:
            message = "not enough memory; use a smaller picture, batch or model."
        except OSError as error:
            if error.errno not in _ENVIRONMENT_ERRORS:
                raise
            message = _sentence(error)
        from larq_dense.cli.output import printable

        click.echo(f"Error: {printable(message)}", err=True)
        ctx.exit(1)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="larq-dense")
def main() -> None:
    """Binary neural networks for dense prediction: train, evaluate, predict, convert.

    \b
    Example:
      larq-dense zoo list
      larq-dense predict ecssd photo.jpg --output out/

    Shell completion: add this to ~/.bashrc (for zsh and fish, replace "bash"):

      eval "$(_LARQ_DENSE_COMPLETE=bash_source larq-dense)"
    """
    _log_to_stderr()
