"""The routes: Label Studio's ML backend protocol, its webhooks, and the metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.labelstudio.backend.guard import (
    BODY_SECONDS,
    MAX_BODY,
    Guard,
    Login,
    RefusedError,
    body_of,
)
from curate.labelstudio.backend.metrics import CONTENT_TYPE, Metrics
from curate.labelstudio.backend.protocol import RequestError, Service, parse_json, parse_question

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

_TRAINING = "START_TRAINING"
_WATCHED = ("ANNOTATION", "TASK")
_SMALL = 4 * 1024 * 1024
"""Enough for any request but one for predictions."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``body``: bytes of a request; ``seconds``: until its body must be here."""

    body: int = MAX_BODY
    seconds: float = BODY_SECONDS


def make_app(
    service: Service,
    metrics: Metrics,
    *,
    login: Login | None = None,
    names: Iterable[str] = (),
    limits: Limits = Limits(),
    on_fault: Callable[[str], None] = lambda message: None,
) -> ASGIApp:
    """The application.  ``on_fault`` hears, in one sentence, of what went wrong inside."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    small = min(limits.body, _SMALL)
    Answer = Callable[["Request"], Awaitable["Response"]]  # noqa: N806

    def counted(route: str, answer: Answer) -> Answer:
        async def call(request: Request) -> Response:
            began = time.perf_counter()
            try:
                made = await answer(request)
            except RefusedError as error:
                made = JSONResponse({"error": error.message}, error.status, {"Connection": "close"})
            except RequestError as error:
                made = JSONResponse({"error": str(error)}, 400)
            except Exception as error:  # whatever a model does must not take the server along
                on_fault(f"{route} failed ({type(error).__name__})")
                made = JSONResponse({"error": "the request failed here; see curate's output"}, 500)
            metrics.requests.labels(route, str(made.status_code)).inc()
            metrics.latency.labels(route).observe(time.perf_counter() - began)
            return made

        return call

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "UP", "model_class": "curate"})

    async def setup(request: Request) -> Response:
        # it holds the API token of the project's owner: checked for size, then let go of unread
        await body_of(request, small, limits.seconds)
        return JSONResponse({"model_version": service.version()})

    async def versions(request: Request) -> Response:
        return JSONResponse({"versions": [service.version()]})

    async def predict(request: Request) -> Response:
        body = await body_of(request, limits.body, limits.seconds)

        def work() -> dict[str, Any]:
            question = parse_question(body)
            if question.marked is not None:
                return {"results": [service.assist(question)]}
            return {"results": service.predict(question)}

        return JSONResponse(await run_in_threadpool(work))

    async def webhook(request: Request) -> Response:
        body = await body_of(request, small, limits.seconds)
        # what it says happened only decides whether to look; what happened is asked, not believed
        action = parse_json(body).get("action")
        if action == _TRAINING:
            metrics.wakeups.labels("training").inc()
            return JSONResponse(
                {"status": "ignored", "detail": "models are trained by `curate train`"}
            )
        if not isinstance(action, str) or not action.startswith(_WATCHED):
            metrics.wakeups.labels("ignored").inc()
            return JSONResponse({"status": "ignored"})
        woken = service.wake()
        metrics.wakeups.labels("woken" if woken else "ignored").inc()
        return JSONResponse({"status": "ok" if woken else "ignored"})

    async def show(request: Request) -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        metrics.requests.labels("other", str(error.status_code)).inc()
        return JSONResponse(
            {"error": error.detail.lower()}, error.status_code, headers=error.headers
        )

    def route(path: str, method: str, answer: Answer) -> Route:
        return Route(path, counted(path, answer), methods=[method])

    app = Starlette(
        routes=[
            route("/", "GET", health),
            route("/health", "GET", health),
            route("/setup", "POST", setup),
            route("/versions", "GET", versions),
            route("/predict", "POST", predict),
            route("/webhook", "POST", webhook),
            route("/metrics", "GET", show),
        ],
        exception_handlers={HTTPException: refused},
    )
    app.router.redirect_slashes = False
    return Guard(app, login, names)
