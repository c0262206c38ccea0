"""What an export could not carry, in numbers and by name."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from curate.errors import DataError, DiskError
from curate.gold.manifest import pretty

EXAMPLES = 20


@dataclass
class Loss:
    """The account of an export: what went in, what was left out or altered, and why.

    ``lost`` counts by reason; ``examples`` names the first :data:`EXAMPLES` of each reason.
    """

    format: str
    documents: int = 0
    entities: int = 0
    relations: int = 0
    chains: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, example: str, count: int = 1) -> None:
        if count:
            self.lost[reason] += count
            shown = self.examples.setdefault(reason, [])
            if len(shown) < EXAMPLES:
                shown.append(example)

    def saw(self, annotation: Any) -> None:
        self.documents += 1
        self.entities += len(annotation.entities)
        self.relations += len(annotation.relations)
        self.chains += len(annotation.chains)

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "documents": self.documents,
            "entities": self.entities,
            "relations": self.relations,
            "chains": self.chains,
            "lost": dict(sorted(self.lost.items())),
            "examples": {reason: self.examples[reason] for reason in sorted(self.examples)},
        }


@contextmanager
def writing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file whole or not at all; text is UTF-8 with LF.

    What killed processes began to write here is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode, **options) as stream:
            yield stream
        temporary.replace(path)
        _remove_leftovers(path)
    except OSError as error:
        raise DiskError(f"cannot be written: {error.strerror}", path=path) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_report(loss: Loss, path: Path) -> None:
    with writing(path, "wb") as stream:
        stream.write(pretty(loss.as_dict()))


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears under ``target`` when all of it is written.

    An export that stood there before is replaced, and what killed exports began is removed; a
    folder that holds anything else is refused.
    """
    if target.exists() and not (
        target.is_dir() and (_is_ours(target) or not any(target.iterdir()))
    ):
        raise DataError(
            "stands in the way and is no export of curate; name another place", path=target
        )
    work = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        work.mkdir(parents=True)
        yield work
        if target.exists():
            shutil.rmtree(target)
        work.replace(target)
        _remove_leftovers(target)
    except OSError as error:
        raise DiskError(f"cannot be written: {error.strerror}", path=target) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_leftovers(target: Path) -> None:
    """Remove the unfinished work for ``target`` of processes that are no more."""
    unfinished = re.compile(rf"\.{re.escape(target.name)}\.([1-9][0-9]{{0,8}})\.tmp", re.ASCII)
    found: list[tuple[os.DirEntry[str], re.Match[str] | None]] = []
    with suppress(OSError), os.scandir(target.parent) as entries:
        found = [(entry, unfinished.fullmatch(entry.name)) for entry in entries]
    for entry, match in found:
        if match is None or _is_running(int(match[1])):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):
                Path(entry.path).unlink()


def _is_running(process: int) -> bool:
    """Whether there is such a process; where that cannot be asked, there may be."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


MARK = "LOSS.json"


def _is_ours(folder: Path) -> bool:
    return (folder / MARK).is_file()


def file_names(ids: Iterator[str] | list[str]) -> Mapping[str, str]:
    """A safe, distinct file name for each document id.

    Letters, digits, ``_ - .`` stay (no leading dot), anything else becomes ``_``; where two would
    fall together in any case of letters, or the name is reserved or long, digits of the id's hash
    are added.
    """
    import hashlib
    import re

    wanted: dict[str, str] = {}
    for document_id in ids:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", document_id).lstrip(".")
        wanted[document_id] = name[:80].rstrip(".")
    folded = Counter(name.lower() for name in wanted.values())
    names = {}
    for document_id, name in wanted.items():
        plain = name == document_id and folded[name.lower()] == 1
        if not plain or not name or name.split(".")[0].upper() in _RESERVED:
            digest = hashlib.sha256(document_id.encode("utf-8")).hexdigest()[:10]
            name = f"{name}_{digest}" if name else digest
        names[document_id] = name
    return names


_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{p}{i}" for p in ("COM", "LPT") for i in range(1, 10)}
