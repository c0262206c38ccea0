"""The model that answers while we serve, and its answers to what annotators open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import CurateError
from curate.extractors.interface import Extractor, answers, source_of
from curate.flows.serve_relations import answer_about, hanging_on
from curate.labelstudio.backend.screen import new_name, screen_of
from curate.labelstudio.codec import model_version, prediction_payload
from curate.labelstudio.config import parse_config
from curate.model import Annotation, Document, Entity, Relation, Source, check_text, digest_of
from curate.offsets import OffsetMap, to_nfc
from curate.schema import LabelSchema

if TYPE_CHECKING:
    from curate.flows.reporter import Reporter
    from curate.labelstudio.backend.metrics import Metrics
    from curate.labelstudio.backend.protocol import Question, ShownTask
    from curate.store import Store

LOOK_SECONDS = 1.0
"""How often we look whether another model was promoted."""

PART = 8
"""Documents that the model is asked at a time: who opens a task meanwhile waits for these only."""

_SAMPLE = "Awa Touré, ministre, a rencontré à Gao le général Idris Tahar, chef de l'armée, mardi."


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready: loaded, and asked once."""

    extractor: Extractor
    source: Source

    @property
    def version(self) -> str:
        return model_version(self.source)


class Champion:
    """The model in use; another one takes its place only once it is ready.

    ``load`` makes the extractor.  ``mark`` says cheaply what it would be: where that changes,
    ``watch`` loads anew; a mark of None never does.
    """

    def __init__(
        self,
        load: Callable[[], Extractor],
        mark: Callable[[], str | None],
        schema: LabelSchema,
        reporter: Reporter,
        metrics: Metrics,
    ) -> None:
        self._load = load
        self._mark = mark
        self._schema = schema
        self._reporter = reporter
        self._metrics = metrics
        self.lock = threading.Lock()
        """Held while a model is asked: what they share underneath knows no threads."""
        self._seen = mark()
        self.current = self._ready()

    def watch(self, stop: threading.Event) -> None:
        """Until ``stop``: look for another model.  One that cannot be loaded changes nothing."""
        while not stop.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once; load what was promoted meanwhile."""
        try:
            mark = self._mark()
        except CurateError as error:
            mark = f"unreadable: {error}"
            if mark != self._seen:
                self._reporter.warn(f"{error}; {self.current.version} stays in use")
            self._seen = mark
            return
        if mark == self._seen:
            return
        self._seen = mark
        try:
            found = self._ready()
        except Exception as error:  # a model's files may make its libraries raise anything
            said = error if isinstance(error, CurateError) else type(error).__name__
            self._metrics.loads.labels("failed").inc()
            self._reporter.warn(
                f"the model promoted last cannot be loaded ({said}); "
                f"{self.current.version} stays in use"
            )
            return
        if found.version != self.current.version:
            self._reporter.step(f"{found.version} answers now, in place of {self.current.version}")
        self.current = found

    def _ready(self) -> Loaded:
        began = time.perf_counter()
        extractor = self._load()
        found = Loaded(extractor, source_of(extractor))
        # what models load lazily is loaded now, not while an annotator waits
        getattr(extractor, "nlp", None)
        with self.lock:
            list(answers(extractor, [Document.of(_SAMPLE)], self._schema))
        self._metrics.loads.labels("done").inc()
        self._metrics.model.info(
            {
                "name": found.source.name,
                "version": found.source.version,
                "digest": found.source.digest,
            }
        )
        self._reporter.step(f"model {found.version} is ready ({time.perf_counter() - began:.1f} s)")
        return found


def mark_of(models: Path, reference: str | None, judge: str = "") -> Callable[[], str | None]:
    """What tells that the champion changed, or the judge: reference and digest.  Of a model that
    was named, nothing does."""
    from curate.extractors import models as _models

    def of(name: str) -> str:
        target = _models.aliases(models).get(name, "" if name == _models.CHAMPION else name)
        found = _models.find(models, target) if target else None
        return "" if found is None else f"{found[1].reference} {found[1].digest}"

    def mark() -> str | None:
        followed = [_models.CHAMPION] if reference is None else []
        followed += [judge] if judge else []
        return " judged by ".join(map(of, followed)) if followed else None

    return mark


@dataclass(frozen=True, slots=True)
class _Shown:
    """A text on a screen: as it stands there, the document it is, and the way between them.

    ``known``: the store's id of the document, where the store holds this very text.
    """

    text: str
    document: Document
    way: OffsetMap | None
    known: str | None = None

    def into(self, entity: Entity) -> Entity | None:
        """An entity of the screen in offsets of the document."""
        if self.way is None:
            return entity
        span = self.way.from_source(entity.start, entity.end)
        return None if span is None else replace(entity, start=span[0], end=span[1])


class Answers:
    """Predictions for tasks: from the store where the model said them already, else now."""

    def __init__(
        self, store: Store, champion: Champion, schema: LabelSchema, metrics: Metrics
    ) -> None:
        self._store = store
        self._champion = champion
        self._schema = schema
        self._metrics = metrics
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeper")

    def version(self) -> str:
        return self._champion.current.version

    def close(self) -> None:
        """What was said is kept before we go."""
        self._keeper.shutdown(wait=True)

    def predict(self, question: Question) -> list[list[dict[str, Any]]]:
        """One prediction a task, or none: of a blind document, an unreadable one, a failure."""
        model = self._champion.current
        fit = _fitting(question.config, self._schema)
        shown, blind = self._shown(question.tasks)
        said = self._said(model, [item for i, item in enumerate(shown) if item and i not in blind])
        found: list[list[dict[str, Any]]] = []
        for i, item in enumerate(shown):
            annotation = None if item is None else said.get(item.document.digest)
            if item is None or annotation is None or i in blind:
                outcome = "blind" if i in blind else "unreadable" if item is None else "failed"
                self._metrics.predictions.labels(outcome).inc()
                found.append([])
                continue
            annotation = fit(_back(annotation, item))
            found.append([prediction_payload(annotation, item.text, self._schema)])
        return found

    def assist(self, question: Question) -> dict[str, Any]:
        """What hangs on the regions that were just drawn: relations, and the entities they reach.

        See :class:`Screen` for what is named by the id it has.
        """
        model = self._champion.current
        empty = {"model_version": model.version, "result": []}
        shown, blind = self._shown(question.tasks)
        (task,), (item,) = question.tasks, shown
        if item is None or blind or not question.marked:
            self._metrics.predictions.labels("blind" if blind else "unreadable").inc()
            return empty
        said = self._said(model, [item]).get(item.document.digest)
        if said is None:
            self._metrics.predictions.labels("failed").inc()
            return empty
        screen = screen_of(task, question.marked, len(item.text), self._schema, item.into)
        with self._champion.lock:
            relations = answer_about(
                model.extractor, item.document, said, screen.seen, screen.remembered
            )
        answer = hanging_on(
            said,
            [r for r in relations if not self._schema.relation_misfit(r)],
            screen.marked,
            screen.related,
        )
        fit = _fitting(question.config, self._schema)
        answer = fit(_back(answer.from_source(model.source), item))
        names = {e.key: screen.names.get(e.key) or new_name() for e in answer.entities}
        payload = prediction_payload(answer, item.text, self._schema, names)
        known = set(screen.names.values())
        payload["result"] = [i for i in payload["result"] if i.get("id") not in known]
        return payload

    # -- below

    def _shown(self, tasks: Sequence[ShownTask]) -> tuple[list[_Shown | None], set[int]]:
        """The documents of the tasks (None: no text that could be read), and which are blind."""
        read = [_read(task.text) for task in tasks]
        with self._store.read() as unit:
            named = unit.documents.digests_by_id(
                {task.document_id for task in tasks if task.document_id}
            )
            lanes = unit.review.lanes_of(list(named))
            homeless = {
                item.document.digest
                for task, item in zip(tasks, read, strict=True)
                if item and named.get(task.document_id or "") != item.document.digest
            }
            by_text = unit.documents.ids_by_digest(homeless)
        found: list[_Shown | None] = []
        blind = set()
        for i, (task, item) in enumerate(zip(tasks, read, strict=True)):
            if lanes.get(task.document_id or "") == "blind":
                blind.add(i)
            if item is not None:
                same = named.get(task.document_id or "") == item.document.digest
                known = task.document_id if same else by_text.get(item.document.digest)
                item = replace(item, known=known)
            found.append(item)
        return found, blind

    def _said(self, model: Loaded, shown: Sequence[_Shown]) -> dict[str, Annotation]:
        """Digest of a text → what the model says of it; what it failed at is missing."""
        wanted = {item.document.digest: item for item in shown}
        ids = {item.known: digest for digest, item in wanted.items() if item.known is not None}
        found: dict[str, Annotation] = {}
        with self._store.read() as unit:
            for annotation in unit.predictions.of(model.source, ids):
                digest = ids[annotation.document_id]
                # the schema may have changed since
                if not self._schema.misfit(annotation, wanted[digest].document.text):
                    found[digest] = annotation
        self._metrics.predictions.labels("store").inc(len(found))
        asked = [item for digest, item in wanted.items() if digest not in found]
        for start in range(0, len(asked), PART):
            if start:
                time.sleep(0.001)  # a lock is not fair: whoever waits for it goes first
            part = asked[start : start + PART]
            fresh = self._ask(model, [item.document for item in part])
            self._metrics.predictions.labels("model").inc(len(fresh))
            keep = [
                replace(fresh[item.document.digest], document_id=item.known)
                for item in part
                if item.known is not None and item.document.digest in fresh
            ]
            if keep:
                self._keeper.submit(self._keep, keep)
            found |= fresh
        return found

    def _ask(self, model: Loaded, documents: Sequence[Document]) -> dict[str, Annotation]:
        """Asked all at once; where that fails each by itself, so that one spoils no other."""
        with self._champion.lock:
            try:
                return {a.document_id: a for a in answers(model.extractor, documents, self._schema)}
            except Exception:  # a plugin may raise anything
                if len(documents) == 1:
                    return {}
        found: dict[str, Annotation] = {}
        for document in documents:
            found |= self._ask(model, [document])
        return found

    def _keep(self, annotations: Sequence[Annotation]) -> None:
        """In the store, as any prediction: so that its fate is known, and nothing asked twice."""
        try:
            with self._store.write() as unit:
                unit.predictions.put(annotations)
                unit.commit()
        except CurateError:
            # a busy store: the same will be asked and kept another time
            self._metrics.predictions.labels("unkept").inc(len(annotations))


def _read(text: str | None) -> _Shown | None:
    if text is None or not text.strip():
        return None
    try:
        check_text(text)
    except CurateError:
        return None
    composed, way = to_nfc(text)
    digest = digest_of(composed)
    return _Shown(text, Document(digest, composed, digest), None if composed == text else way)


def _back(annotation: Annotation, item: _Shown) -> Annotation:
    """The annotation in offsets of the text on the screen."""
    if item.way is None:
        return annotation
    moved: dict[tuple[int, int, str], Entity] = {}
    for entity in annotation.entities:
        span = item.way.to_source(entity.start, entity.end)
        if span is not None:
            moved[entity.key] = replace(entity, start=span[0], end=span[1])
    return _with(annotation, moved)


def _with(
    annotation: Annotation,
    moved: Mapping[tuple[int, int, str], Entity],
    types: frozenset[str] | None = None,
) -> Annotation:
    relations = [
        Relation(moved[r.head.key], moved[r.tail.key], r.label, r.score)
        for r in annotation.relations
        if r.head.key in moved and r.tail.key in moved and (types is None or r.label in types)
    ]
    return Annotation.of(annotation.document_id, moved.values(), relations, annotation.source)


def _fitting(config: str, schema: LabelSchema) -> Callable[[Annotation], Annotation]:
    """Leaves out what the project's configuration has no label for: Label Studio would refuse the
    whole task, and the annotator could not open it."""
    offered = _offered(config) if config else None
    if offered is None:
        return lambda annotation: annotation
    labels, types = offered

    def fit(annotation: Annotation) -> Annotation:
        kept = {e.key: e for e in annotation.entities if e.label in labels}
        return _with(annotation, kept, types)

    if labels >= set(schema.entity_labels) and types >= set(schema.relation_labels):
        return lambda annotation: annotation
    return fit


@lru_cache(maxsize=16)
def _offered(config: str) -> tuple[frozenset[str], frozenset[str]]:
    try:
        parsed = parse_config(config)
    except CurateError:
        return frozenset(), frozenset()
    if any("needs one" in problem for problem in parsed.problems):
        return frozenset(), frozenset()  # regions of other names than ours
    return frozenset(parsed.entities), frozenset(parsed.relations)
