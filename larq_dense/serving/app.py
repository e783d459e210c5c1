"""The server's addresses: what a request may ask, and what it is answered."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import python_multipart  # noqa: F401  (Starlette needs it for forms and says so too late)
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from larq_dense.common.errors import UnknownNameError
from larq_dense.runtime import Predictor
from larq_dense.serving.answer import FORMATS, Format, answer
from larq_dense.serving.metrics import Metrics
from larq_dense.serving.page import page_files
from larq_dense.serving.pool import Pool
from larq_dense.serving.refusal import Refusal
from larq_dense.version import __version__

_JSON = "application/json"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # The page needs nothing from elsewhere, and a picture runs no script.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        max_bytes: Of a request's body.
        max_pixels: Of a picture.
        queue: Requests that may wait while every predictor is busy.
        timeout: Seconds from a request's arrival to its answer.

    Examples:
        >>> Limits(queue=4).timeout
        30.0
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    queue: int = 16
    timeout: float = 30.0


def create_app(predictors: Sequence[Predictor], limits: Limits) -> Starlette:
    """Return the server as an ASGI application.

    `POST /predict` labels a picture, sent as the body or as a form's one file. `?format=` or else
    the header `Accept` chooses the answer. `/` is a page for people, `/health` and `/metrics` are
    for machines. No name or path in a request is ever opened.

    Args:
        predictors: Of one model; each is used by one thread at a time.
        limits: What one request may cost.

    Returns:
        The application, for any ASGI server.

    Examples:
        >>> app = create_app([Predictor("ecssd.tflite")], Limits())
        >>> sorted(route.path for route in app.routes)[-1]
        '/predict'
    """
    handler = _Handler(predictors, limits)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        handler.pool.close()

    files = page_files(predictors[0].spec).items()
    return Starlette(
        routes=[
            Route("/predict", handler.predict, methods=["POST"]),
            Route("/health", handler.health),
            Route("/metrics", handler.metrics_text),
            *(Route(path, _fixed(*file)) for path, file in files),
        ],
        exception_handlers={HTTPException: _say_http, Exception: _say_broken},
        lifespan=lifespan,
    )


class _Handler:
    """Answers requests; everything here but the pool's jobs runs on the event loop."""

    def __init__(self, predictors: Sequence[Predictor], limits: Limits) -> None:
        self.pool = Pool(predictors, limits.queue)
        self._limits = limits
        self._metrics = Metrics(self.pool)
        self._spec = predictors[0].spec
        # Of all bodies that are held at one time.
        self._room = limits.max_bytes * self.pool.capacity

    async def predict(self, request: Request) -> Response:
        begin, seconds = time.monotonic(), self._limits.timeout
        try:
            response = await asyncio.wait_for(self._answer(request), seconds)
        except asyncio.TimeoutError:
            sentence = f"this took longer than {seconds:g} s; send a smaller picture or try later."
            response = _say(504, sentence)
        except Refusal as refusal:
            response = _say(refusal.status, str(refusal))
        except MemoryError:
            response = _say(413, "not enough memory for this picture; send a smaller one.")
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it, but it is counted
        except Exception:
            self._metrics.note(500, 0)
            raise
        self._metrics.note(response.status_code, time.monotonic() - begin)
        return response

    async def _answer(self, request: Request) -> Response:
        format = chosen_format(request.query_params.get("format"), request.headers.get("accept"))
        # Before the body is read, which is kept only for a picture that can be worked on.
        self.pool.check_room()
        max_pixels = self._limits.max_pixels
        async with self._body(request) as body:
            content = await _picture(request, body)
            media_type, result = await self.pool.run(
                lambda predictor: answer(predictor, content, format, max_pixels)
            )
        return Response(result, media_type=media_type, headers=_HEADERS | {"Vary": "Accept"})

    @contextlib.asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        """Give a request's body, as long as it and all others together are not too large."""
        most = self._limits.max_bytes
        body = bytearray()
        length = request.headers.get("content-length", "0")
        try:
            if int(length) > most:
                raise _too_large(most)
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise _too_large(most)
                if len(chunk) > self._room:
                    raise Refusal(503, "the server is busy with other uploads; try again later.")
                body += chunk
                self._room -= len(chunk)
            yield bytes(body)
        finally:
            self._room += len(body)

    async def health(self, request: Request) -> Response:
        return JSONResponse(
            {
                "status": "ok",
                "model": self._spec.name,
                "task": self._spec.task,
                "classes": self._spec.class_names,
                "workers": self.pool.workers,
                "version": __version__,
            },
            headers=_HEADERS,
        )

    async def metrics_text(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=_METRICS, headers=_HEADERS)


async def _picture(request: Request, body: bytes) -> bytes:
    """Return the body, or the one file of a form.

    Raises:
        Refusal: A form has no file or several, or is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return body

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, receive).form(max_files=1, max_fields=8) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    return await value.read()
    except HTTPException as error:
        raise Refusal(400, f"the form cannot be read: {error.detail}") from error
    raise Refusal(400, "the form holds no file; send one picture as a file.")


def chosen_format(named: str | None, accept: str | None) -> Format:
    """Return what a request asks for.

    Args:
        named: `?format=`, which decides where it is given.
        accept: The header `Accept`: JSON for a client that takes JSON before any picture, else
            a mask.

    Raises:
        Refusal: There is no format of that name.
    """
    if named is not None:
        if named not in FORMATS:
            raise Refusal(400, str(UnknownNameError("format", named, FORMATS)))
        return cast(Format, named)
    accepted = [each.strip().lower().partition(";") for each in (accept or "").split(",")]
    ranked = sorted(accepted, key=lambda each: -_quality(each[2]))
    first = next((kind for kind, _, _ in ranked if kind == _JSON or "image" in kind), "")
    return "json" if first == _JSON else "mask"


def _quality(parameters: str) -> float:
    for each in parameters.split(";"):
        name, _, value = each.strip().partition("=")
        if name == "q":
            with contextlib.suppress(ValueError):
                return float(value)
    return 1.0


def _fixed(media_type: str, content: bytes) -> Callable[[Request], Response]:
    return lambda request: Response(content, media_type=media_type, headers=_HEADERS)


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"the picture's file is larger than {most} bytes; send a smaller one.")


def _say(status: int, sentence: str) -> Response:
    headers = _HEADERS | ({"Retry-After": "1"} if status == 503 else {})
    return JSONResponse({"error": sentence}, status, headers)


async def _say_http(request: Request, error: Exception) -> Response:
    status = cast(HTTPException, error).status_code
    sentences = {
        404: "there is nothing at this address; POST a picture to /predict.",
        405: "this address does not take this method; POST a picture to /predict.",
    }
    response = _say(status, sentences.get(status, "the request cannot be answered."))
    response.headers.update(cast(HTTPException, error).headers or {})
    return response


async def _say_broken(request: Request, error: Exception) -> Response:
    return _say(500, "the server has a fault, which its log tells.")
