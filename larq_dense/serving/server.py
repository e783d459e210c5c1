"""From a predictor to a server that listens until it is told to stop."""

import copy
import math
import os
import signal
import socket
import warnings
from collections.abc import Callable

import uvicorn
from PIL import Image

from larq_dense.common.errors import LarqDenseError
from larq_dense.runtime import Predictor
from larq_dense.serving.app import Limits, create_app

_GRACE = 5


def serve(
    predictor: Predictor,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    limits: Limits | None = None,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a model until SIGTERM or Ctrl-C, then finish what is in work and return.

    Args:
        predictor: The model, over a converted file; one with several workers is copied.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        workers: Predictors, each on a thread of its own.
        limits: What one request may cost.
        announce: Called with the server's URL once it listens.

    Raises:
        LarqDenseError: The address cannot be listened on.

    Examples:
        >>> from larq_dense import Predictor
        >>> serve(Predictor("ecssd.tflite"), port=8000)           # doctest: +SKIP
    """
    limits = limits or Limits()
    predictors = [predictor, *(copy.copy(predictor) for _ in range(workers - 1))]
    # The limit decides what is too large.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    config = uvicorn.Config(
        create_app(predictors, limits),
        log_config=None,  # the logging of the program around stays as it is
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=math.ceil(limits.timeout) + _GRACE,
    )
    server = uvicorn.Server(config)
    listener = listen(host, port)
    # uvicorn sends itself again, at the end, what it was stopped by; there this ends nothing more.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, server.handle_exit)) for number in numbers]
    try:
        announce(_url(listener))
        server.run([listener])
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections; port 0 is any free one.

    Raises:
        LarqDenseError: The address cannot be listened on.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server((host, port), family=family)
        # Each connection inherits this. Without it an answer, which is written in two parts, waits
        # some 40 ms for the client's delayed acknowledgement of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        # Python adds the address to what the system says; an unknown host has a negative number.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        raise LarqDenseError(
            f"cannot listen on {host}, port {port}: {reason}; choose another by --host or --port."
        ) from error


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
