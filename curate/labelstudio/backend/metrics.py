"""What is counted while we serve, in the form that Prometheus reads."""

from __future__ import annotations

import time
from typing import Final

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0)
"""Upper bounds in seconds: the promises (0.05 for a webhook, 0.3 for a prediction) are edges."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one server; every label has few values, none of them a client's words."""

    def __init__(self) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            Info,
            disable_created_metrics,
        )

        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody reads
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "curate_requests",
            "Requests answered, by route and status.",
            ("route", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "curate_request_seconds",
            "Seconds from the first byte of a request to its answer, by route.",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.predictions = Counter(
            "curate_predictions",
            "Tasks asked about: answered by the model or from the store; blind (withheld on "
            "purpose); unreadable; failed.",
            ("outcome",),
            registry=self.registry,
        )
        self.wakeups = Counter(
            "curate_wakeups",
            "Webhooks received, by what was done.",
            ("outcome",),
            registry=self.registry,
        )
        self.pulls = Counter(
            "curate_pulls", "Pulls begun, by how they ended.", ("outcome",), registry=self.registry
        )
        self.pull_seconds = Histogram(
            "curate_pull_seconds",
            "Seconds that a finished pull took.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.stored = Counter(
            "curate_annotations_stored", "Annotations that pulls brought.", registry=self.registry
        )
        self.last_pull = Gauge(
            "curate_last_pull_timestamp_seconds",
            "When the last pull was finished; 0 before the first.",
            registry=self.registry,
        )
        self.loads = Counter(
            "curate_model_loads",
            "Models loaded, by how it ended.",
            ("outcome",),
            registry=self.registry,
        )
        self.model = Info("curate_model", "The model that answers.", registry=self.registry)

    def pulled(self, seconds: float, stored: int) -> None:
        self.pulls.labels("done").inc()
        self.pull_seconds.observe(seconds)
        self.stored.inc(stored)
        self.last_pull.set(time.time())

    def text(self) -> bytes:
        """Everything counted so far."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self.registry))
