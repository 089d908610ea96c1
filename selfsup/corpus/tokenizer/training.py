"""``selfsup train-tokenizer``: learn a WordPiece vocabulary from a sample of raw text."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from selfsup.atomic_files import is_half_written
from selfsup.corpus.readers import compression
from selfsup.corpus.readers.documents import DEFAULT_MAX_BAD_FRACTION, DEFAULT_TEXT_FIELD, Document
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import TextDocuments, read_documents
from selfsup.corpus.text import clean_paragraphs
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.corpus.tokenizer.vocabulary import count_words, learn_vocabulary
from selfsup.corpus.tokenizer.wordpiece import (
    SPECIAL_TOKENS,
    compose_and_cut,
    vocabulary_size,
    word_cutter,
    wordpiece_tokenizer,
)
from selfsup.counter_random import uniform
from selfsup.errors import UserError
from selfsup.settings.corpus import TrainTokenizerSettings
from selfsup.settings.reading import FileFormat

# Text is about four times as long as its compressed form.
_COMPRESSION_RATIO = 4
_BERTS_SIZE = 30_522
_LEAST_VOCAB_SIZE = 64  # the least that --vocab-size accepts


def train_from_corpus(settings: TrainTokenizerSettings) -> dict[str, Any]:
    """Train a tokenizer and write its folder; returns ``vocab_size`` and ``out``.

    From more than a gigabyte of text, a sample of about that size is used (``sample_documents``).

    Raises:
        UserError: the text cannot be read, or ``out`` holds a tokenizer, a model or a run.
    """
    for name in ("tokenizer.json", "vocab.txt", "config.json", "run.yaml", "manifest.json"):
        if Path(settings.out, name).exists() and not is_half_written(Path(settings.out)):
            raise UserError(
                f"--out {settings.out}: holds {name}, of another tokenizer or model: choose "
                "another folder"
            )
    documents = sample_documents(
        settings.corpus,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        max_bad_fraction=settings.max_bad_fraction,
        file_format=settings.file_format,
    )
    tokenizer = train_tokenizer(
        (document.text for document in documents),
        vocab_size=settings.vocab_size or _BERTS_SIZE,
        lowercase=settings.lowercase,
        strip_accents=settings.strip_accents,
        allow_fewer=settings.vocab_size is None,
    )
    save_tokenizer(tokenizer, settings.out)
    return {"vocab_size": vocabulary_size(tokenizer), "out": settings.out}


def sample_documents(
    sources: Sequence[str],
    *,
    budget_bytes: int = 1 << 30,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    file_format: FileFormat = FileFormat(),  # noqa: B008 - frozen
) -> Iterator[Document]:
    """Read about ``budget_bytes`` of documents, evenly from the whole corpus; all if it is smaller.

    The choice depends only on a document's position in the corpus, so it is the same each time.
    If the size cannot be known (``hf://``), all documents are read.
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
        file_format=file_format,
    )
    for position, document in enumerate(documents):
        if fraction == 1.0 or uniform(position) < fraction:
            yield document


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 30522,
    lowercase: bool = True,
    strip_accents: bool = False,
    min_frequency: int = 2,
    allow_fewer: bool = False,
) -> Tokenizer:
    """Train a WordPiece tokenizer; the same texts always give the same tokens with the same ids.

    Its rules are those of ``compose_and_cut``. Memory is bounded for any amount of text: beyond a
    million different words the rarest are dropped.

    Args:
        texts: documents, one paragraph per line; they are cleaned as ``prepare`` cleans them.
        vocab_size: number of tokens, including the five special ones (ids 0 to 4).
        lowercase: fold case.
        strip_accents: drop accents; this also splits Hangul syllables into letters.
        min_frequency: how often two tokens must be adjacent to be joined.
        allow_fewer: accept a smaller vocabulary if the texts allow no more.

    Raises:
        UserError: the texts are empty, or allow fewer tokens than ``vocab_size``.
    """
    rules: dict[str, Any] = {"lowercase": lowercase, "strip_accents": strip_accents}
    empty = compose_and_cut(wordpiece_tokenizer({}, **rules))
    paragraphs = (paragraph for text in texts for paragraph in clean_paragraphs(text))
    word_counts = count_words(paragraphs, word_cutter(empty))
    if not word_counts:
        raise UserError("the corpus holds no text to learn words from: name another corpus")
    size = vocab_size - len(SPECIAL_TOKENS)
    learned = learn_vocabulary(word_counts, size, min_frequency=min_frequency)
    tokens = [*SPECIAL_TOKENS, *learned]
    if len(tokens) < vocab_size and not allow_fewer:
        allowed = len(SPECIAL_TOKENS) + _learnable(word_counts, len(learned), min_frequency)
        fix = "give more text"
        if allowed >= _LEAST_VOCAB_SIZE:
            fix = f"ask for --vocab-size {allowed} or less, or {fix}"
        raise UserError(
            f"--vocab-size {vocab_size}: this corpus allows at most {allowed} tokens: {fix}"
        )
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return compose_and_cut(wordpiece_tokenizer(vocabulary, **rules))


def _learnable(word_counts: dict[str, int], size: int, min_frequency: int) -> int:
    """The largest size, at most ``size``, for which that many tokens are learned.

    A smaller vocabulary has room for fewer characters, and words with other characters are left
    out. So asking for the number of tokens learned for a large size may give fewer.
    """
    while (learned := len(learn_vocabulary(word_counts, size, min_frequency=min_frequency))) < size:
        size = learned
    return size
