"""The command `larq-dense serve` as a process of its own."""

import contextlib
import io
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from waiting_model import encoded, random_picture

from larq_dense import zoo
from larq_dense.cli import main
from larq_dense.runtime import Predictor, xnor
from larq_dense.serving.server import listen

needs_runtime = pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))

PROGRAM = "from larq_dense.cli import main; main(prog_name='larq-dense')"


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give a server's process and its URL."""
    command = [sys.executable, "-c", PROGRAM, "serve", "ecssd", "--port", "0", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("serving ecssd on http://127.0.0.1:"), (line, process.stderr.read())
        yield process, line.split()[3].rstrip(";")
    finally:
        process.kill()
        process.communicate()


def labels_in(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def jobs(url: str) -> int:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    (line,) = (each for each in lines if each.startswith("larq_dense_jobs "))
    return int(float(line.split()[1]))


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_refused(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_work_be_finished(
    published_predictor: Predictor, number: signal.Signals
) -> None:
    # One picture that takes a while, and an upload that has only begun.
    large, small = encoded(random_picture(2000, 3000), "JPEG"), encoded(random_picture(60, 80))
    answers: list[httpx.Response] = []
    with server("--workers", "2") as (process, url):

        def post() -> None:
            answers.append(httpx.post(f"{url}/predict", content=large, timeout=60))

        poster = threading.Thread(target=post)
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=60) as upload:
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(small)}\r\n\r\n"
            upload.sendall(head.encode() + small[:50])
            poster.start()
            wait_until(lambda: jobs(url) == 1)
            process.send_signal(number)
            wait_until(lambda: is_refused(url))
            upload.sendall(small[50:])
            received = b"".join(iter(lambda: upload.recv(1 << 16), b""))
        poster.join()
        assert process.wait(timeout=60) == 0
    head, _, content = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    found = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(found, published_predictor.labels(small))
    np.testing.assert_array_equal(labels_in(answers[0]), published_predictor.labels(large))


@needs_runtime
def test_predictors_work_side_by_side_and_agree() -> None:
    predictor = Predictor(zoo.find("ecssd").tflite())
    pictures = [encoded(random_picture(40 + size, 60)) for size in range(6)]
    found: dict[int, httpx.Response] = {}
    with server("--workers", "2", "--precision", "binary") as (process, url):

        def post(index: int) -> None:
            found[index] = httpx.post(f"{url}/predict", content=pictures[index], timeout=60)

        threads = [threading.Thread(target=post, args=(index,)) for index in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert httpx.get(f"{url}/health").json()["workers"] == 2
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in printed
    for index, content in enumerate(pictures):
        np.testing.assert_array_equal(labels_in(found[index]), predictor.labels(content))


def test_a_port_in_use_is_one_sentence(published_predictor: Predictor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, ["serve", "ecssd", "--port", port])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: cannot listen on 127.0.0.1, port {port}: Address already in use; choose another "
        "by --host or --port."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("peple",), "Error: unknown zoo entry 'peple'; did you mean people?"),
        (("missing.tflite",), "Error: no such model file: missing.tflite."),
        (("ecssd", "--host", "no.such.host.invalid"), "Error: cannot listen on no.such.host"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    published_predictor: Predictor, arguments: tuple[str, ...], sentence: str
) -> None:
    done = CliRunner().invoke(main, ["serve", *arguments])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(sentence)


def test_no_part_of_an_answer_waits_for_an_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
