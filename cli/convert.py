"""`larq-dense convert`: make a `.tflite` file, audited."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from larq_dense.cli.options import FILE, json_option
from larq_dense.common.errors import DataError

if TYPE_CHECKING:
    from larq_dense.conversion import ConversionResult

# Real pictures that scikit-image's wheel carries.
_BUNDLED = ("astronaut.png", "chelsea.png", "coffee.png")


@click.command()
@click.argument("model")
@click.option("--output", type=FILE, help="File to write.  [default: the model's name .tflite]")
@click.option(
    "--images",
    multiple=True,
    metavar="IMAGE",
    help="Picture, folder or glob on which the file is compared with Keras; may be repeated.  "
    "[default: three pictures of scikit-image]",
)
@json_option
def command(model: str, output: Path | None, images: tuple[str, ...], as_json: bool) -> None:
    """Convert MODEL, a zoo entry or a run's folder, with Larq Compute Engine.

    The file is audited before it is written: every layer that the model declares binary must be
    binary in it, or the command names the layer and writes nothing. Then it is compared with
    Keras on pictures. It carries the classes and the normalization, for TensorFlow Lite's tools
    and for `larq-dense predict`.

    \b
    Example:
      larq-dense convert ecssd --output ecssd.tflite
      larq-dense convert runs/mine --images 'photos/*.jpg' --json
    """
    from larq_dense.cli.models import is_file, open_keras
    from larq_dense.cli.output import print_json
    from larq_dense.cli.pictures import expand

    if is_file(model):
        raise DataError(f"{model} is a file already; name a zoo entry or a run's folder.")
    pictures = expand(images) if images else _bundled()
    keras, _ = open_keras(model)
    from larq_dense.conversion import convert

    result = convert(keras, images=pictures)
    path = output or Path(f"{result.spec.name}.tflite")
    result.save(path)
    if as_json:
        print_json({"file": str(path), **result.to_dict()})
    else:
        _print(result, path)


def _bundled() -> list[Path]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in _BUNDLED]


def _print(result: "ConversionResult", path: Path) -> None:
    from larq_dense.cli.output import print_table

    assert result.parity is not None
    layers, parity = result.audit.layers, result.parity
    packed = sum(layer.bitpacked for layer in layers)
    click.echo(f"wrote {path}: {len(result.content):,} bytes")
    click.echo(
        f"audit: {len(layers)} of {len(layers)} binary layers are LceBconv2d, "
        f"{packed} of them with bitpacked output"
    )
    click.echo(
        f"parity with Keras: the same label on {100 * parity.same_labels:.3f} % of the pixels "
        f"(pictures: {parity.images}); logits differ by {parity.max_logit_difference:.2g} at most "
        f"(largest: {parity.max_logit:.2g})\n"
    )
    print_table(["operation", "count"], list(result.audit.operators.items()))
