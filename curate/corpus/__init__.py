"""Files to documents: readers, encodings, cleaning.

::

    for found in discover([Path("pages")]):
        for outcome in read(found, Options(language="fr")):
            ...             # Ingested, Note or DataError
"""

from curate.corpus.language import languages
from curate.corpus.readers import Found, Options, discover, read
from curate.corpus.records import DroppedLine, Ingested, Note, Outcome, RawPage, Reason

__all__ = [
    "DroppedLine",
    "Found",
    "Ingested",
    "Note",
    "Options",
    "Outcome",
    "RawPage",
    "Reason",
    "discover",
    "languages",
    "read",
]
