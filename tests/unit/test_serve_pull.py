"""When `curate serve` pulls: woken, debounced, one at a time, again after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from curate.errors import LockedError, UnreachableError
from curate.flows.pull import PullResult
from curate.flows.reporter import Silent
from curate.flows.serve_pull import Puller, Rhythm, StoppedError
from curate.labelstudio.backend.metrics import Metrics

NOTHING = PullResult("p", 0, 0, 0, 0, 0, 0)
SOME = PullResult("p", 2, 1, 1, 0, 0, 2)
QUICK = Rhythm(
    quiet=0.03, latest=0.15, every=0.0, first_wait=0.02, longest_wait=0.1, locked_wait=0.02
)


class Heard(Silent):
    """A reporter that remembers its steps, too."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def step(self, message: str) -> None:
        self.steps.append(message)


class Pulls:
    """Counts pulls, and does at each what it was told to."""

    def __init__(self, *doing: Callable[[], object]) -> None:
        self._doing = list(doing)
        self.at: list[float] = []
        self.together = 0
        self.most = 0

    def __call__(self) -> PullResult:
        self.at.append(time.monotonic())
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            if self._doing:
                self._doing.pop(0)()
            return NOTHING
        finally:
            self.together -= 1

    def until(self, count: int, seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while len(self.at) < count:
            assert time.monotonic() < end, f"{len(self.at)} of {count} pulls"
            time.sleep(0.002)


@contextmanager
def pulling(
    pulls: Callable[[], PullResult], rhythm: Rhythm = QUICK
) -> Iterator[tuple[Puller, Heard, Metrics]]:
    heard, metrics = Heard(), Metrics()
    puller = Puller(pulls, heard, metrics, rhythm)
    puller.start()
    try:
        yield puller, heard, metrics
    finally:
        assert puller.stop(5.0)


def fail(error: Exception) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


def value(metrics: Metrics, series: str) -> float:
    lines = dict(line.rsplit(" ", 1) for line in metrics.text().decode().splitlines())
    return float(lines.get(series, 0))


def test_it_begins_with_a_pull_and_then_waits_to_be_woken() -> None:
    """What changed while nobody listened is pulled first; nothing more without a wake-up."""
    pulls = Pulls()
    with pulling(pulls) as (puller, _, metrics):
        pulls.until(1)
        time.sleep(0.1)
        assert len(pulls.at) == 1
        puller.wake()
        pulls.until(2)
    assert value(metrics, 'curate_pulls_total{outcome="done"}') == 2


def test_many_wake_ups_make_one_pull() -> None:
    """Wake-ups in quick succession are one; however many come, a pull begins in time."""
    pulls = Pulls()
    with pulling(pulls) as (puller, _, _):
        pulls.until(1)
        for _ in range(20):
            puller.wake()
        pulls.until(2)
        time.sleep(0.1)
        assert len(pulls.at) == 2
        began = time.monotonic()
        while len(pulls.at) == 2:
            puller.wake()
            time.sleep(0.005)
            assert time.monotonic() - began < 2
        assert time.monotonic() - began >= QUICK.latest


def test_waking_never_waits_for_a_pull() -> None:
    """A wake-up during a pull returns at once, and asks for one pull more."""
    go = threading.Event()
    pulls = Pulls(go.wait)
    with pulling(pulls) as (puller, _, _):
        pulls.until(1)
        began = time.monotonic()
        for _ in range(100):
            puller.wake()
        assert time.monotonic() - began < 0.05
        go.set()
        pulls.until(2)
        time.sleep(0.1)
    assert len(pulls.at) == 2
    assert pulls.most == 1


def test_a_locked_store_is_tried_again_without_complaint() -> None:
    """Another command at work is said once, and the pull done when it has ended."""
    busy = LockedError("`curate push` is at work on this store")
    pulls = Pulls(fail(busy), fail(busy), fail(busy))
    with pulling(pulls) as (_, heard, metrics):
        pulls.until(4)
    assert heard.warnings == []
    assert heard.steps == ["pull waits: `curate push` is at work on this store"]
    assert value(metrics, 'curate_pulls_total{outcome="locked"}') == 3


def test_a_failure_is_said_in_a_sentence_and_tried_again_ever_later() -> None:
    """Each failure doubles the pause, up to a bound; success starts over."""
    rhythm = Rhythm(quiet=0.0, latest=0.0, every=0.0, first_wait=0.02, longest_wait=0.08)
    down = UnreachableError("Label Studio does not answer")
    pulls = Pulls(*[fail(down)] * 5)
    with pulling(pulls, rhythm) as (_, heard, metrics):
        pulls.until(6)
        time.sleep(0.05)
    assert len(heard.warnings) == 5
    assert all(
        w.startswith("pull failed: Label Studio does not answer; again in") for w in heard.warnings
    )
    assert heard.steps == ["pull works again"]
    pauses = [b - a for a, b in zip(pulls.at, pulls.at[1:], strict=False)]
    assert pauses[2] > pauses[0]
    assert max(pauses) < 0.5
    assert value(metrics, 'curate_pulls_total{outcome="failed"}') == 5


def test_a_bug_in_a_pull_ends_neither_the_server_nor_its_secrets() -> None:
    """Whatever is raised, only its kind is said, and pulling goes on."""
    pulls = Pulls(fail(KeyError("token 0123")))
    with pulling(pulls) as (_, heard, _):
        pulls.until(2)
    assert "KeyError" in heard.warnings[0]
    assert "0123" not in heard.warnings[0]


def test_it_pulls_now_and_then_without_being_told() -> None:
    """Label Studio repeats no webhook: what was missed comes with the next round."""
    pulls = Pulls()
    with pulling(pulls, Rhythm(quiet=0.0, latest=0.0, every=0.05)):
        pulls.until(4)
    assert min(b - a for a, b in zip(pulls.at, pulls.at[1:], strict=False)) > 0.04


def test_stopping_ends_the_pull_at_its_next_step() -> None:
    """A pull in progress ends where it asks; a bound on waiting is kept where it does not."""
    asked = threading.Event()
    holder: list[Puller] = []

    def steps() -> None:
        asked.set()
        for _ in range(1000):
            time.sleep(0.002)
            holder[0].check()

    pulls = Pulls(steps)
    heard, metrics = Heard(), Metrics()
    holder.append(Puller(pulls, heard, metrics, QUICK))
    holder[0].start()
    assert asked.wait(5)
    assert holder[0].stop(2.0)
    assert value(metrics, 'curate_pulls_total{outcome="stopped"}') == 1
    assert heard.warnings == []
    never = threading.Event()
    deaf = Puller(Pulls(never.wait), heard, metrics, QUICK)
    deaf.start()
    time.sleep(0.1)
    assert not deaf.stop(0.05)
    never.set()


def test_one_that_never_began_stops_at_once() -> None:
    """Stopping before the start is no error."""
    puller = Puller(Pulls(), Heard(), Metrics(), QUICK)
    assert puller.stop(0.1)
    try:
        puller.check()
    except StoppedError:
        return
    raise AssertionError("a stopped puller lets a pull go on")


def test_what_came_is_told() -> None:
    """A pull that brought something says so; one that did not is silent."""
    results = [SOME, NOTHING]
    done = threading.Event()

    def pull() -> PullResult:
        if len(results) == 1:
            done.set()
        return results.pop(0) if results else NOTHING

    with pulling(pull) as (puller, heard, metrics):
        time.sleep(0.1)
        puller.wake()
        assert done.wait(5)
    assert heard.steps == ["pulled 2 annotations: 1 stored, 0 quarantined, 0 deleted"]
    assert value(metrics, "curate_annotations_stored_total") == 1
