"""Makes spaCy know curate's components and tokenizer.

An installed curate does it by entry points; a pipeline loaded through curate, by
:func:`register`.
"""

from __future__ import annotations


def register() -> None:
    """Register the factories ``crf_ner`` and ``relation_classifier`` and the tokenizer."""
    from curate.tokenization import register as register_tokenizer

    register_tokenizer()
