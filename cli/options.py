"""Options that several commands share."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import click

from larq_dense.common.threads import MAX_THREADS

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]
Runtime = Literal["auto", "native", "xnor", "lce", "keras"]
Precision = Literal["int8", "binary"]


class Number(click.FloatRange):
    """A number in a range; `nan`, which no comparison finds outside, is refused."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number, or fail with click's sentence."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of tables."
)

runtime_option = click.option(
    "--runtime",
    type=click.Choice(get_args(Runtime)),
    default="auto",
    show_default=True,
    help="What runs a .tflite file, or an entry's: this package's engine (int8 files), its "
    "delegate in LiteRT, or Larq Compute Engine; auto takes the first that can. keras runs an "
    "entry's weights instead.",
)


def count_option(
    name: str,
    default: int | Sequence[int] | None = None,
    *,
    help: str,
    most: int | None = None,
    **settings: Any,
) -> Decorator[Any]:
    """Return an option for a number from 1 to `most`, or for several with `multiple=True`."""
    counts = click.IntRange(1, most)
    shown = default is not None
    return click.option(
        name, type=counts, default=default, show_default=shown, help=help, **settings
    )


def _precision_option(help: str) -> Decorator[Any]:
    return click.option("--precision", type=click.Choice(get_args(Precision)), help=help)


precision_option = _precision_option(
    "Form of a zoo entry: int8, all-integer, which is faster; binary, with float32 between "
    "the binary layers, at most half a point more accurate.  [default: int8 where the entry has "
    "such a file, else binary]"
)

measured_precision_option = _precision_option(
    "Form of a zoo entry: int8, all-integer, as `predict` runs it; binary, with float32 "
    "between the binary layers.  [default: binary]"
)

threads_option = count_option(
    "--threads", 1, most=MAX_THREADS, help="Threads that run a .tflite file."
)

tile_option = click.option(
    "--tile",
    type=int,
    metavar="COLUMNS",
    help="See a picture in overlapping tiles of so many columns, instead of as a whole: for "
    "pictures much larger than the network's input, in which details would vanish.",
)

tta_option = click.option(
    "--tta",
    is_flag=True,
    help="Average the probabilities of the picture and its mirror image, at their size and at 1.5 "
    "times their size; takes ten times as long.",
)

split_option = click.option(
    "--split", required=True, metavar="NAME", help="Split to measure, such as val."
)

labels_option = click.option(
    "--labels", metavar="SOURCE", help="Encoding of the masks, if it cannot be told."
)


def data_option(required: bool = True, help: str = "Folder of the data set.") -> Decorator[Any]:
    """Return `--data DIR`, passed as `data: Path` (or None where it is not required)."""
    return click.option("--data", type=FOLDER, required=required, metavar="DIR", help=help)
