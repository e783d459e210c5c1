"""`larq-dense serve`: label pictures that come by HTTP."""

import click

from larq_dense.cli.options import (
    Number,
    Precision,
    Runtime,
    count_option,
    precision_option,
    runtime_option,
    threads_option,
)
from larq_dense.common.machine import usable_cores

_MOST_MEGAPIXELS = 178
"""Pillow takes what is larger for an attack."""


@click.command()
@click.argument("model")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@count_option(
    "--workers",
    most=64,
    help="Copies of the model, each on a thread of its own.  [default: one for each core]",
)
@click.option(
    "--queue",
    type=click.IntRange(min=0),
    default=16,
    show_default=True,
    help="Requests that may wait; further ones get status 503.",
)
@click.option(
    "--timeout",
    type=Number(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds after which a request gets status 504.",
)
@click.option(
    "--max-megabytes",
    type=Number(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="Size of a picture's file; larger ones get status 413.",
)
@click.option(
    "--max-megapixels",
    type=Number(0, _MOST_MEGAPIXELS, min_open=True),
    default=50.0,
    show_default=True,
    help="Size of a picture; larger ones get status 413.",
)
@precision_option
@runtime_option
@threads_option
def command(
    model: str,
    host: str,
    port: int,
    workers: int | None,
    queue: int,
    timeout: float,
    max_megabytes: float,
    max_megapixels: float,
    precision: Precision | None,
    runtime: Runtime,
    threads: int,
) -> None:
    """Serve MODEL by HTTP: a zoo entry, hf://OWNER/NAME, a run's folder or a .tflite file.

    POST a picture to /predict, as the body or as a form's file. ?format=mask, overlay, cutout or
    json chooses the answer. / is a page to drop a picture on, /health and /metrics are for
    machines. SIGTERM and Ctrl-C finish what is in work.

    It needs the extra `serve`, and no TensorFlow. There is no encryption and no password: put a
    proxy that has them before what strangers reach.

    \b
    Example:
      larq-dense serve ecssd
      larq-dense serve cityscapes --host 0.0.0.0 --port 8080 --workers 4
      curl --data-binary @photo.jpg 'http://127.0.0.1:8000/predict?format=overlay' > overlay.png
      curl --form file=@photo.jpg 'http://127.0.0.1:8000/predict?format=json'
    """
    from larq_dense.serving import Limits, serve
    from larq_dense.zoo.opening import open_predictor

    predictor = open_predictor(model, runtime, threads, precision=precision).predictor
    serve(
        predictor,
        host=host,
        port=port,
        workers=workers or max(1, usable_cores() // threads),
        limits=Limits(round(max_megabytes * 1e6), round(max_megapixels * 1e6), queue, timeout),
        announce=lambda url: click.echo(f"serving {predictor.spec.name} on {url}; Ctrl-C ends it"),
    )
