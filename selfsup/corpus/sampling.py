"""A sample of a corpus's documents, for what does not need all of it, such as a vocabulary."""

from collections.abc import Iterator, Sequence

from selfsup.corpus import compression
from selfsup.corpus.bad_records import DEFAULT_MAX_BAD_FRACTION
from selfsup.corpus.document import Document
from selfsup.corpus.inputs import find_inputs
from selfsup.corpus.sources import TextDocuments, read_documents
from selfsup.corpus.text_field import DEFAULT_TEXT_FIELD
from selfsup.counter_random import uniform

# Text takes about four times the room of its compressed form.
_COMPRESSION_RATIO = 4


def sample_documents(
    sources: Sequence[str],
    *,
    budget_bytes: int = 1 << 30,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
) -> Iterator[Document]:
    """Read about ``budget_bytes`` of documents, evenly from the whole corpus; all if it is smaller.

    The choice is a function of a document's place in the corpus alone, so it is the same each time.
    Where the size cannot be known (``hf://``) all documents are read.

    Raises:
        UserError: as ``read_documents``.
    """
    size = sum(
        found.size * (_COMPRESSION_RATIO if compression.is_compressed(found.url) else 1)
        for found in find_inputs(sources)
    )
    fraction = min(1.0, budget_bytes / max(size, 1))
    documents = read_documents(
        sources,
        text_field=text_field,
        text_documents=text_documents,
        max_bad_fraction=max_bad_fraction,
    )
    for place, document in enumerate(documents):
        if fraction == 1.0 or uniform(place) < fraction:
            yield document
