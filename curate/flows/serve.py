"""Serving: the champion's predictions for what is opened, and a pull for what was changed."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from curate.errors import CurateError, ServerFaultError, UnreachableError
from curate.flows import project as projects_flow
from curate.flows.pull import PullOptions, PullResult, pull
from curate.flows.reporter import Reporter
from curate.flows.serve_model import Answers, Champion
from curate.flows.serve_pull import Puller, Rhythm
from curate.labelstudio.codec import model_version
from curate.schema import LabelSchema
from curate.store import Store

if TYPE_CHECKING:
    from curate.extractors.interface import Extractor
    from curate.labelstudio.backend.connection import Connected
    from curate.labelstudio.backend.guard import Login
    from curate.labelstudio.backend.protocol import Question
    from curate.labelstudio.client import LabelStudio

Connect = Callable[[Callable[[], None] | None], "LabelStudio"]
"""Opens a client of Label Studio; what it is given is called before each request."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """``url``: where Label Studio reaches us; ``names``: further names that we are asked under.

    ``pulls``: whether wake-ups are heard; ``register``: whether to connect to the project.
    """

    title: str
    url: str
    login: Login | None = None
    names: tuple[str, ...] = ()
    register: bool = False
    pulls: bool = True
    rhythm: Rhythm = field(default_factory=Rhythm)


@dataclass(frozen=True, slots=True)
class Served:
    """What was done until the signal that ended it (0 where none did)."""

    predictions: int
    wakeups: int
    pulls: int
    stored: int
    signal: int

    @property
    def interrupted(self) -> bool:
        return self.signal == signal.SIGINT


class _Service:
    """What the routes reach: answers, and the puller's bell."""

    def __init__(self, answers: Answers, puller: Puller | None) -> None:
        self._answers = answers
        self._puller = puller

    def version(self) -> str:
        return self._answers.version()

    def predict(self, question: Question) -> list[list[dict[str, Any]]]:
        return self._answers.predict(question)

    def assist(self, question: Question) -> dict[str, Any]:
        return self._answers.assist(question)

    def wake(self) -> bool:
        return self._puller is not None and self._puller.wake()


def serve(
    store: Store,
    connect: Connect | None,
    schema: LabelSchema,
    load: Callable[[], Extractor],
    mark: Callable[[], str | None],
    listening: socket.socket,
    options: ServeOptions,
    reporter: Reporter,
) -> Served:
    """Serve on this socket until SIGINT or SIGTERM.

    ``connect`` is None where no Label Studio is known: then nothing is pulled.  ``load`` and
    ``mark`` as :class:`Champion` has them.  Raises what the first loading of the model raises.
    """
    from curate.labelstudio.backend.app import make_app
    from curate.labelstudio.backend.metrics import Metrics
    from curate.labelstudio.backend.server import run

    metrics = Metrics()
    champion = Champion(load, mark, schema, reporter, metrics)
    answers = Answers(store, champion, schema, metrics)
    puller: Puller | None = None
    if connect is not None and options.pulls:
        puller = Puller(
            _pulling(store, connect, schema, options, reporter, lambda: puller),
            reporter,
            metrics,
            options.rhythm,
        )
    app = make_app(
        _Service(answers, puller),
        metrics,
        login=options.login,
        names=options.names,
        on_fault=reporter.warn,
    )
    stop = threading.Event()
    watcher = threading.Thread(target=champion.watch, args=(stop,), name="watcher", daemon=True)

    def ready() -> None:
        reporter.step(f"serving on {options.url} (Ctrl-C ends it)")
        if connect is not None and options.register:
            _introduce(store, connect, options, reporter, stop)

    watcher.start()
    if puller is not None:
        puller.start()
    try:
        number = run(app, listening, ready)
    finally:
        stop.set()
        if puller is not None and not puller.stop():
            reporter.warn("the pull in progress did not end; it goes on where it stood next time")
        answers.close()
    return Served(
        predictions=_sum(metrics.predictions, ("model", "store")),
        wakeups=_sum(metrics.wakeups, ("woken",)),
        pulls=_sum(metrics.pulls, ("done",)),
        stored=_sum(metrics.stored, ("",)),
        signal=number,
    )


def _pulling(
    store: Store,
    connect: Connect,
    schema: LabelSchema,
    options: ServeOptions,
    reporter: Reporter,
    puller: Callable[[], Puller | None],
) -> Callable[[], PullResult]:
    """One pull with a client of its own: a token or address set anew is read anew."""

    def check() -> None:
        found = puller()
        if found is not None:
            found.check()

    def work() -> PullResult:
        with connect(check) as client:
            return pull(store, client, schema, PullOptions(options.title), _Quiet(reporter))

    return work


class _Quiet:
    """Passes warnings on; a pull's steps and bars would fill the screen of a server."""

    def __init__(self, reporter: Reporter) -> None:
        from curate.flows.reporter import Silent

        self._reporter = reporter
        self.progress = Silent().progress
        self._said = ""

    def step(self, message: str) -> None:
        """Not said."""

    def warn(self, message: str) -> None:
        self._reporter.warn(message)


def _introduce(
    store: Store,
    connect: Connect,
    options: ServeOptions,
    reporter: Reporter,
    stop: threading.Event,
) -> None:
    """Connect to the project; as long as Label Studio cannot be reached, again and again."""
    pause = options.rhythm.first_wait
    while True:
        try:
            with connect(None) as client:
                done = introduce(store, client, options)
            break
        except CurateError as error:
            passing = isinstance(error, UnreachableError | ServerFaultError)
            again = f"; again in {pause:.0f} s" if passing else ""
            reporter.warn(f"not connected to project {options.title!r}: {error}{again}")
            if not passing or stop.wait(pause):
                return
            pause = min(2 * pause, options.rhythm.longest_wait)
    new = " and ".join(
        name
        for name, fresh in (("backend", done.new_backend), ("webhook", done.new_webhook))
        if fresh
    )
    reporter.step(
        f"connected to project {options.title!r}"
        + (f" (new: {new})" if new else " (was connected already)")
    )


def introduce(store: Store, client: LabelStudio, options: ServeOptions) -> Connected:
    """Connect backend and webhook to the project; we must be answering already."""
    from curate.labelstudio.backend.connection import register

    _, remote = projects_flow.required(store, client, options.title)
    return register(client, remote.record, options.url, options.login)


def take_leave(store: Store, client: LabelStudio, title: str) -> int:
    """Remove backend and webhook from the project; how many there were."""
    from curate.labelstudio.backend.connection import unregister

    _, remote = projects_flow.required(store, client, title)
    with store.read() as unit:
        current = unit.sync.current_run()
    return unregister(client, remote.record, None if current is None else model_version(current[1]))


def _sum(counter: Any, outcomes: tuple[str, ...]) -> int:
    return int(
        sum(
            sample.value
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.labels.get("outcome", "") in outcomes
        )
    )
