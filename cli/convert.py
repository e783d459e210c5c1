"""`larq-dense convert`: make a `.tflite` file, audited."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from larq_dense.cli.options import FILE, FOLDER, json_option
from larq_dense.common.errors import DataError
from larq_dense.common.files import prepare_folder, write_bytes

if TYPE_CHECKING:
    from larq_dense.conversion import ConversionResult
    from larq_dense.runtime import ModelSpec

# Real pictures that scikit-image's wheel carries.
_BUNDLED = ("astronaut.png", "chelsea.png", "coffee.png")

# The app finds an entry and its baseline by these suffixes (android/vision, Assets.kt).
FILE_SUFFIX, BASELINE_SUFFIX = ".tflite", "_random_baseline_int8.tflite"


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
@click.option(
    "--android",
    type=FOLDER,
    metavar="FOLDER",
    help="Write the file and its int8 baseline into the assets of an app instead.",
)
@click.option(
    "--int8",
    is_flag=True,
    help="Leave nothing in floating point: the entry's int8 variant, or ranges from --images.",
)
@json_option
def command(
    model: str,
    output: Path | None,
    images: tuple[str, ...],
    android: Path | None,
    int8: bool,
    as_json: bool,
) -> None:
    """Convert MODEL, a zoo entry or a run's folder, with Larq Compute Engine.

    The file is audited before it is written: every layer that the model declares binary must be
    binary in it, or the command names the layer and writes nothing. Then it is compared with
    Keras on pictures. It carries the classes and the normalization, for TensorFlow Lite's tools
    and for `larq-dense predict`.

    With --int8 every tensor, input and output too, is int8 or packed bits. An entry's published
    int8 variant is taken; where there is none, the ranges come from --images: name some twenty
    pictures of the kind that the network is for. The file is compared with a Keras model that
    rounds in the same places.

    A full-precision run goes through TensorFlow Lite's own converter, with --int8 by its
    post-training quantization.

    With --android the folder receives NAME.tflite and NAME_random_baseline_int8.tflite. The second
    is the full-precision baseline in int8 with random weights, which the app in android/ times.
    With --int8, too, NAME is followed by _int8; the app's engine runs such a file without LiteRT.

    \b
    Example:
      larq-dense convert ecssd --output ecssd.tflite
      larq-dense convert runs/mine --images 'photos/*.jpg' --json
      larq-dense convert runs/mine --int8 --images 'photos/*.jpg'
      larq-dense convert ecssd --android android/app/src/main/assets
    """
    from larq_dense.cli.image_files import expand
    from larq_dense.cli.output import print_json
    from larq_dense.zoo.opening import is_file

    if is_file(model):
        raise DataError(f"{model} is a file already; name a zoo entry or a run's folder.")
    if output and android:
        raise DataError("--output and --android both say where to write; give one of them.")
    if output:
        _check_replaced(output)
        prepare_folder(output.parent)
    if android:
        prepare_folder(android)
    pictures = expand(images) if images else _bundled()
    result, quantized = _convert(model, int8, pictures, ranges=bool(images))
    suffix = f"{'_int8' * quantized}{FILE_SUFFIX}"
    path = output or (android or Path()) / f"{result.spec.name}{suffix}"
    files = {path: result.content}
    if android:
        files[android / f"{path.stem}{BASELINE_SUFFIX}"] = _baseline(model, result.spec, pictures)
    for each, content in files.items():
        write_bytes(each, content)
    if as_json:
        print_json({"file": str(path), "files": list(map(str, files)), **result.to_dict()})
    else:
        _print(result, files)


def _check_replaced(path: Path) -> None:
    """Refuse to replace weights, a picture or whatever else is no converted file.

    Raises:
        DataError: There is such a file.
    """
    from larq_dense.runtime.tflite_file import IDENTIFIER

    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(8)
    if head and head[4:] != IDENTIFIER:
        raise DataError(f"{path} is there and is no .tflite file; name another one to write.")


def _convert(
    model: str, int8: bool, pictures: list[Path], ranges: bool
) -> "tuple[ConversionResult, bool]":
    """Convert a model; also say whether it came out as int8.

    Args:
        model: An entry or a run.
        int8: Whether int8 is asked for.
        pictures: What to compare the file with Keras on.
        ranges: Whether ranges may be taken from them.
    """
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import convert_baseline
    from larq_dense.models import binary_layers
    from larq_dense.quantization import is_quantized, quantize
    from larq_dense.zoo.opening import open_int8, open_keras

    published = open_int8(model) if int8 else None
    keras = open_keras(model)[0] if published is None else published
    # An int8 run is so without the option, too.
    missing = int8 and not is_quantized(keras)
    if missing and not ranges:
        raise DataError(
            f"{model} has no int8 variant, so its ranges are taken from pictures; name some by "
            "--images."
        )
    if not binary_layers(keras):
        return convert_baseline(keras, images=pictures, calibration=pictures * int8 or None), int8
    if missing:
        keras = quantize(keras, [keras.spec.preprocessing(path) for path in pictures])
    return convert(keras, images=pictures), is_quantized(keras)


def _baseline(model: str, spec: "ModelSpec", pictures: list[Path]) -> bytes:
    """Return the int8 baseline, described like the entry: the app reads both alike."""
    from larq_dense.common.quiet import without_chatter
    from larq_dense.conversion import add_metadata
    from larq_dense.conversion.baseline import int8_tflite
    from larq_dense.zoo.opening import open_baseline

    with without_chatter():
        content = int8_tflite(open_baseline(model), [spec.preprocessing(path) for path in pictures])
    random = "Full-precision baseline in int8 with random weights: it tells latency, nothing else."
    return add_metadata(content, replace(spec, description=random))


def _bundled() -> list[Path]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in _BUNDLED]


def _print(result: "ConversionResult", files: dict[Path, bytes]) -> None:
    from larq_dense.cli.output import print_table

    assert result.parity is not None
    layers, parity = result.audit.layers, result.parity
    packed = sum(layer.bitpacked for layer in layers)
    for path, content in files.items():
        click.echo(f"wrote {path}: {len(content):,} bytes")
    if layers:
        click.echo(
            f"audit: {len(layers)} of {len(layers)} binary layers are LceBconv2d, "
            f"{packed} of them with bitpacked output"
        )
    steps = "" if parity.max_steps is None else f", int8 steps: {parity.max_steps}"
    click.echo(
        f"parity with Keras: the same label on {100 * parity.same_labels:.3f} % of the pixels "
        f"(pictures: {parity.images}); logits differ by {parity.max_logit_difference:.2g} at most "
        f"(largest: {parity.max_logit:.2g}{steps})\n"
    )
    print_table(["operation", "count"], list(result.audit.operators.items()))
