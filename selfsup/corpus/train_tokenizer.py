"""``selfsup train-tokenizer``: learn a WordPiece vocabulary from a sample of raw text."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.documents import DEFAULT_MAX_BAD_FRACTION, DEFAULT_TEXT_FIELD, Document
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import TextDocuments, read_documents
from selfsup.corpus.tokenizer.fast_wordpiece import vocabulary_size
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.corpus.tokenizer.wordpiece import train_tokenizer as train
from selfsup.counter_random import uniform
from selfsup.errors import UserError
from selfsup.settings.corpus import TrainTokenizerSettings

# Text is about four times as long as its compressed form.
_COMPRESSION_RATIO = 4
_BERTS_SIZE = 30_522


def sample_documents(
    sources: Sequence[str],
    *,
    budget_bytes: int = 1 << 30,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
) -> Iterator[Document]:
    """Read about ``budget_bytes`` of documents, evenly from the whole corpus; all if it is smaller.

    The choice depends only on a document's position in the corpus, so it is the same each time.
    If the size cannot be known (``hf://``), all documents are read.

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
    for position, document in enumerate(documents):
        if fraction == 1.0 or uniform(position) < fraction:
            yield document


def train_tokenizer(settings: TrainTokenizerSettings) -> dict[str, Any]:
    """Train a tokenizer and write its folder; returns ``vocab_size`` and ``out``.

    From more than a gigabyte of text, a sample of about that size is used (``sample_documents``).

    Raises:
        UserError: the text cannot be read, or ``out`` holds a tokenizer, a model or a run.
    """
    for name in ("tokenizer.json", "vocab.txt", "config.json", "run.yaml", "manifest.json"):
        if Path(settings.out, name).exists():
            raise UserError(
                f"--out {settings.out}: holds {name}, of another tokenizer or model: choose "
                "another folder"
            )
    documents = sample_documents(
        settings.corpus,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        max_bad_fraction=settings.max_bad_fraction,
    )
    tokenizer = train(
        (document.text for document in documents),
        vocab_size=settings.vocab_size or _BERTS_SIZE,
        lowercase=settings.lowercase,
        strip_accents=settings.strip_accents,
        allow_fewer=settings.vocab_size is None,
    )
    save_tokenizer(tokenizer, settings.out)
    return {"vocab_size": vocabulary_size(tokenizer), "out": settings.out}
