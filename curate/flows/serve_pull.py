"""Pulling when Label Studio says that something changed, and now and then without its saying so."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.errors import CurateError, LockedError

if TYPE_CHECKING:
    from curate.flows.pull import PullResult
    from curate.flows.reporter import Reporter
    from curate.labelstudio.backend.metrics import Metrics


class StoppedError(Exception):
    """We were told to stop: raised where the pull stands between two requests."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds.  ``quiet``: how long nothing may come before a pull begins; ``latest``: a pull
    begins this long after the first wake-up, however many follow; ``every``: a pull without any
    wake-up (0: never), since Label Studio repeats no webhook; ``first_wait``, ``longest_wait``:
    the pause after a failure, doubled each time; ``locked_wait``: while another command works."""

    quiet: float = 0.4
    latest: float = 2.0
    every: float = 300.0
    first_wait: float = 2.0
    longest_wait: float = 120.0
    locked_wait: float = 1.0


class Puller:
    """One thread that pulls; wake-ups only set it going, so that none ever waits.

    ``pull`` does one incremental pull under the store's lock and calls nothing after
    :class:`StoppedError`.
    """

    def __init__(
        self,
        pull: Callable[[], PullResult],
        reporter: Reporter,
        metrics: Metrics,
        rhythm: Rhythm = Rhythm(),
    ) -> None:
        self._pull = pull
        self._reporter = reporter
        self._metrics = metrics
        self._rhythm = rhythm
        self._changed = threading.Condition()
        self._first: float | None = None
        self._last = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="puller", daemon=True)

    def start(self) -> None:
        """Begin with a pull: what changed while nobody listened."""
        self.wake()
        self._thread.start()

    def wake(self) -> bool:
        """Something changed; returns at once."""
        with self._changed:
            now = time.monotonic()
            self._first = now if self._first is None else self._first
            self._last = now
            self._changed.notify()
        return True

    def stop(self, timeout: float = 30.0) -> bool:
        """Begin no further pull, and let the one in progress end its step; whether it did."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raises StoppedError once we are to stop: called between the steps of a pull."""
        if self._stopping:
            raise StoppedError

    # -- the thread

    def _run(self) -> None:
        pause = 0.0
        failures = 0
        said = ""
        while self._due(pause):
            began = time.monotonic()
            try:
                result = self._pull()
            except StoppedError:
                self._metrics.pulls.labels("stopped").inc()
                return
            except LockedError as error:
                self._metrics.pulls.labels("locked").inc()
                pause = self._rhythm.locked_wait
                if str(error) != said:
                    said = str(error)
                    self._reporter.step(f"pull waits: {error}")
                self._again()
                continue
            except Exception as error:  # a bug in a pull must not end the pulls
                self._metrics.pulls.labels("failed").inc()
                pause = min(self._rhythm.first_wait * 2.0**failures, self._rhythm.longest_wait)
                pause *= random.uniform(0.8, 1.0)
                failures += 1
                why = error if isinstance(error, CurateError) else type(error).__name__
                self._reporter.warn(f"pull failed: {why}; again in {pause:.0f} s")
                self._again()
                continue
            if failures:
                self._reporter.step("pull works again")
            pause, failures, said = 0.0, 0, ""
            self._metrics.pulled(time.monotonic() - began, result.stored)
            self._tell(result)

    def _tell(self, result: PullResult) -> None:
        if result.stored or result.quarantined or result.deleted:
            self._reporter.step(
                f"pulled {result.received} annotations: {result.stored} stored, "
                f"{result.quarantined} quarantined, {result.deleted} deleted"
            )

    def _again(self) -> None:
        """What was to be pulled still is."""
        with self._changed:
            if self._first is None:
                self._first = self._last = time.monotonic()

    def _due(self, pause: float) -> bool:
        """Wait until a pull is due; False once we are to stop."""
        idle_since = time.monotonic()
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                left = idle_since + pause - now
                if left <= 0:
                    if self._first is not None:
                        left = (
                            min(
                                self._last + self._rhythm.quiet,
                                self._first + self._rhythm.latest,
                            )
                            - now
                        )
                    elif self._rhythm.every:
                        left = idle_since + self._rhythm.every - now
                    else:
                        self._changed.wait()
                        continue
                    if left <= 0:
                        # a wake-up from here on asks for a further pull
                        self._first = None
                        return True
                self._changed.wait(left)
        return False
