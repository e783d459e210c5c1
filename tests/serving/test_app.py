import asyncio
import io
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from waiting_model import Waiting, encoded, random_picture

from larq_dense.common.images import overlay, read_image
from larq_dense.runtime import Predictor
from larq_dense.serving import Limits, create_app
from larq_dense.serving.app import chosen_format
from larq_dense.serving.refusal import Refusal

LIMITS = Limits(max_bytes=100_000, max_pixels=20_000, queue=1, timeout=20)


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture(scope="module")
def client(published_predictor: Predictor) -> Iterator[TestClient]:
    with TestClient(create_app([published_predictor], LIMITS)) as client:
        yield client


@pytest.fixture
def quick(slow: Predictor, waiting: Waiting) -> Iterator[TestClient]:
    waiting.go.set()
    with TestClient(create_app([slow], LIMITS), raise_server_exceptions=False) as client:
        yield client


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter to the right
    return encoded(random_picture(30, 50), "JPEG", exif=exif)


PICTURES = {
    "png": encoded(random_picture(40, 60)),
    "grey": encoded(random_picture(33, 47)[..., 0]),
    "turned": turned(),
    "webp": encoded(random_picture(21, 20), "WEBP"),
    "one pixel": encoded(random_picture(1, 1), "BMP"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_masks_are_the_predictors_labels(
    client: TestClient, published_predictor: Predictor, name: str
) -> None:
    content = PICTURES[name]
    expected = published_predictor.labels(content)
    as_body = client.post("/predict", content=content)
    assert as_body.status_code == 200 and as_body.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(opened(as_body.content), expected)
    as_form = client.post("/predict?format=mask", files={"picture": ("a.png", content)})
    assert as_form.content == as_body.content


def test_overlays_cutouts_and_numbers(client: TestClient, published_predictor: Predictor) -> None:
    content = PICTURES["turned"]
    pixels, labels = read_image(content), published_predictor.labels(content)
    blend = client.post("/predict?format=overlay", content=content)
    expected = overlay(pixels, labels, published_predictor.spec.palette)
    np.testing.assert_array_equal(opened(blend.content), expected)
    cut = opened(client.post("/predict?format=cutout", content=content).content)
    assert cut.shape == (50, 30, 4)
    np.testing.assert_array_equal(cut[..., :3], pixels)
    numbers = client.post("/predict", content=content, headers={"Accept": "application/json"})
    assert numbers.headers["content-type"] == "application/json"
    values = numbers.json()
    assert (values["width"], values["height"], values["model"]) == (30, 50, "ecssd")
    assert values["shares"]["object"] == pytest.approx((labels == 1).mean())
    probability = published_predictor.predict(content).probability(1)
    assert values["scores"]["object"]["mean"] == pytest.approx(probability.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("named", "accept", "expected"),
    [
        (None, None, "mask"),
        (None, "*/*", "mask"),
        (None, "image/png", "mask"),
        (None, "application/json", "json"),
        (None, "image/png, application/json", "mask"),
        (None, "image/png;q=0.5, application/json;q=0.9", "json"),
        (None, "application/json;q=x, image/*", "json"),
        (None, "text/html", "mask"),
        ("overlay", "application/json", "overlay"),
    ],
)
def test_the_format_is_chosen(named: str | None, accept: str | None, expected: str) -> None:
    assert chosen_format(named, accept) == expected


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refusal, match=r"unknown format 'masks'; did you mean mask\?") as refused:
        chosen_format("masks", None)
    assert refused.value.status == 400


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it is so large and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def form(name: str, content: bytes) -> dict[str, Any]:
    return {"files": {name: ("a.png", content)}}


TWO_FILES = {"files": [("a", ("a.png", PICTURES["png"])), ("b", ("b.png", PICTURES["png"]))]}
BROKEN_FORM = {"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}
NO_BOUNDARY = {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"content": b""}, 400, "the request holds no picture; send JPEG"),
        ({"content": b"a text that is no picture"}, 400, "the file is no picture; send JPEG"),
        (form("a", b"a text that is no picture"), 400, "the file is no picture; send JPEG"),
        (form("a", b""), 400, "holds no picture"),
        ({"data": {"a": "b"}, "files": {}}, 400, "no picture"),
        (TWO_FILES, 400, "the form cannot be read: Too many files"),
        (BROKEN_FORM, 400, "the form "),
        (NO_BOUNDARY, 400, "the form cannot be read: Missing boundary"),
        ({"content": PICTURES["png"][:-900]}, 400, "the picture is damaged or cut off"),
        ({"content": PICTURES["turned"][:300]}, 400, "the picture is damaged or cut off"),
        ({"content": png_of(200, 101)}, 413, "200×101 pixels, and at most 20000 are taken"),
        ({"content": png_of(60_000, 60_000)}, 413, "too many pixels"),
        ({"content": png_of(14_000, 14_000)}, 413, "too"),
        (form("a", png_of(60_000, 60_000)), 413, "too many pixels"),
        ({"content": b"\0" * 100_001}, 413, "larger than 100000 bytes"),
        ({"content": iter([b"\0" * 60_000] * 2)}, 413, "larger than 100000 bytes"),
        (form("a", b"\0" * 100_001), 413, "larger than 100000 bytes"),
        ({"content": b"%PDF-1.4".ljust(50)}, 415, "the file is PDF"),
        ({"content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}, 415, "PostScript"),
        ({"content": b"\0\0\0\x18ftypheic".ljust(50)}, 415, "HEIC"),
        ({"content": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, 415, "SVG"),
    ],
)
def test_what_cannot_be_answered_gets_a_status_and_one_sentence(
    quick: TestClient, waiting: Waiting, request_: dict[str, Any], status: int, sentence: str
) -> None:
    answer = quick.post("/predict", **request_)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"] and "\n" not in answer.json()["error"]
    assert waiting.runs == 0
    # The server goes on.
    assert quick.post("/predict", content=PICTURES["png"]).status_code == 200


def test_a_wrong_length_is_refused(quick: TestClient) -> None:
    headers = {"Content-Length": "1000000000"}
    assert quick.post("/predict", content=b"", headers=headers).status_code == 413


def test_a_wrong_address_or_method_gets_a_sentence(quick: TestClient) -> None:
    assert "nothing at this address" in quick.get("/nothing").json()["error"]
    answer = quick.get("/predict")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"
    assert "does not take this method" in answer.json()["error"]


def test_a_fault_of_the_server_gets_a_sentence_and_is_counted(
    quick: TestClient, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "run", lambda inputs: 1 / 0)
    answer = quick.post("/predict", content=PICTURES["png"])
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server has a fault, which its log tells."}
    assert 'larq_dense_requests_total{code="500"} 1.0' in quick.get("/metrics").text


def post_together(app: Any, count: int, go: threading.Event, wait: Any) -> list[httpx.Response]:
    """Post a picture so many times at once, and let the predictor go on once `wait` returns."""

    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            posts = [client.post("/predict", content=PICTURES["png"]) for _ in range(count)]
            tasks = [asyncio.create_task(each) for each in posts]
            await asyncio.to_thread(wait, tasks)
            go.set()
            return list(await asyncio.gather(*tasks))

    return asyncio.run(all_at_once())


def test_a_full_queue_is_503_and_what_was_taken_is_answered(
    slow: Predictor, waiting: Waiting
) -> None:
    app = create_app([slow], LIMITS)

    def until_three_are_refused(tasks: list[asyncio.Task[httpx.Response]]) -> None:
        assert waiting.begun.acquire(timeout=20)
        while sum(task.done() for task in tasks) < 3:
            threading.Event().wait(0.01)

    answers = post_together(app, 5, waiting.go, until_three_are_refused)
    codes = [each.status_code for each in answers]
    assert sorted(codes) == [200, 200, 503, 503, 503]
    refused = answers[codes.index(503)]
    assert refused.json()["error"] == "the server is busy and its queue is full; try again later."
    assert refused.headers["retry-after"] == "1"
    assert waiting.runs == 2


def test_what_is_late_is_504_and_what_waited_is_not_begun(
    slow: Predictor, waiting: Waiting
) -> None:
    app = create_app([slow], Limits(queue=1, timeout=0.3))

    def until_both_are_late(tasks: list[asyncio.Task[httpx.Response]]) -> None:
        while not all(task.done() for task in tasks):
            threading.Event().wait(0.01)

    answers = post_together(app, 2, waiting.go, until_both_are_late)
    assert [each.status_code for each in answers] == [504, 504]
    assert answers[0].json()["error"].startswith("this took longer than 0.3 s")
    # The second was in the queue, and nobody waits for it any more.
    answers = post_together(create_app([slow], LIMITS), 1, waiting.go, lambda tasks: None)
    assert answers[0].status_code == 200
    assert waiting.runs == 2


def test_a_body_that_does_not_come_is_504(slow: Predictor) -> None:
    async def trickle() -> Any:
        yield b"\x89PNG"
        await asyncio.sleep(30)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(create_app([slow], Limits(timeout=0.2)))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post("/predict", content=trickle())

    assert asyncio.run(post()).status_code == 504


def test_bodies_that_are_held_together_are_bounded(slow: Predictor, waiting: Waiting) -> None:
    """Four uploads of 60 kB each that have not ended; there is room for two of 100 kB."""
    limits = Limits(max_bytes=100_000, queue=1, timeout=20)
    app, done = create_app([slow], limits), asyncio.Event()
    waiting.go.set()

    async def upload() -> Any:
        yield b"\0" * 60_000
        await done.wait()

    async def post_all() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            posts = [client.post("/predict", content=upload()) for _ in range(4)]
            tasks = [asyncio.create_task(each) for each in posts]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.set()
            codes = [each.status_code for each in await asyncio.gather(*tasks)]
            whole = await client.post("/predict", content=PICTURES["png"])
            return [*sorted(codes), whole.status_code]

    assert asyncio.run(post_all()) == [400, 400, 400, 503, 200]


_WATCHED: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED is not None:
        _WATCHED.append(str(arguments[0]))


def test_no_name_in_a_request_is_opened(quick: TestClient) -> None:
    global _WATCHED
    sys.addaudithook(_watch)
    _WATCHED = []
    try:
        quick.post("/predict?model=/etc/passwd&format=/etc/passwd", content=PICTURES["png"])
        quick.post("/predict", files={"/etc/passwd": ("/etc/passwd", PICTURES["png"])})
        quick.post("/predict", content=b"/etc/passwd")
        for path in ("/etc/passwd", "/../etc/passwd", "//etc/passwd", "/page/%2e%2e/etc/passwd"):
            assert quick.get(path).status_code == 404
        seen = list(_WATCHED)
        with open("/dev/null"):  # noqa: PTH123  (the watch works)
            pass
        assert _WATCHED[len(seen) :] == ["/dev/null"]
    finally:
        _WATCHED = None
    assert not [path for path in seen if "passwd" in path]


def test_metrics_are_prometheus_text(quick: TestClient) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    for content in (PICTURES["png"], PICTURES["png"], b"none"):
        quick.post("/predict", content=content)
    answer = quick.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    counts = {
        each.labels["code"]: each.value
        for each in families["larq_dense_requests"].samples
        if each.name == "larq_dense_requests_total"
    }
    assert counts == {"200": 2.0, "400": 1.0}
    assert families["larq_dense_jobs"].samples[0].value == 0
    assert families["larq_dense_jobs_max"].samples[0].value == 2


def test_health_names_the_model(quick: TestClient) -> None:
    values = quick.get("/health").json()
    assert values["status"] == "ok" and values["model"] == "small" and values["workers"] == 1
