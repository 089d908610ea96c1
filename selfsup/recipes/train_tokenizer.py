"""``selfsup train-tokenizer``: a WordPiece vocabulary from raw text."""

from pathlib import Path
from typing import Any

from selfsup.corpus.added_tokens import vocabulary_size
from selfsup.corpus.sampling import sample_documents
from selfsup.corpus.tokenizer_folder import save_tokenizer
from selfsup.corpus.wordpiece import train_tokenizer as train
from selfsup.errors import UserError
from selfsup.settings import TrainTokenizerSettings

_BERTS_SIZE = 30_522


def train_tokenizer(settings: TrainTokenizerSettings) -> dict[str, Any]:
    """Train a tokenizer and write its folder; returns ``vocab_size`` and ``out``.

    Of more than a gigabyte of text a sample of about that size is counted (``sample_documents``).

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
