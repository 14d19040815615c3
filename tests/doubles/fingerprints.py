"""Fingerprints of what a test has in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.ports.source import Document


def fingerprint_of_documents(pages: Iterable[Sequence[Document]]) -> Fingerprint:
    """Fingerprint of everything in the pages."""
    total = Fingerprint()
    for page in pages:
        total = total + Fingerprint.of(document.id for document in page)
    return total
