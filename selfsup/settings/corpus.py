"""Settings of the commands that turn raw text into token shards, and their flags for its text."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from selfsup.errors import UserError
from selfsup.settings import fields
from selfsup.settings.fields import argument, data_flag, flag, run_flag
from selfsup.settings.reading import ReadingFlags

SOURCES = (
    "text to read: .txt, .jsonl, .csv, .tsv or .parquet files (also .gz, .bz2, .xz, .zst), folders "
    "and globs of them, URLs, hf://NAME, or docs://installed"
)

text_field = partial(
    data_flag, "field or column that holds the text", default="text", metavar="NAME"
)
text_documents = partial(
    data_flag,
    "what a document is in plain text: a whole file, a part between blank lines, or a line; "
    "auto means files where there are several, else parts between blank lines",
    default="auto",
    choices=("auto", "file", "blank-line", "line"),
)
language = partial(
    data_flag,
    "language whose rules split the text into sentences: a code such as en or ko; "
    "auto guesses it from the script of each document",
    default="auto",
    metavar="CODE",
)


def max_bad_fraction(records: str = "records") -> Any:
    return data_flag(
        f"unreadable {records} are left out; stop when they are more than this share",
        default=0.01,
        at_least=0,
        at_most=1,
    )


def check_language(language: str) -> None:
    """Refuse what does not look like a language code, such as a language's name.

    Raises:
        UserError: says what a code looks like.
    """
    if language != "auto" and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", language):
        raise UserError(
            f"--language must be auto or a code of two or three small letters, such as en or ko, "
            f"not {language!r}"
        )


@dataclass(frozen=True, kw_only=True)
class TrainTokenizerSettings(ReadingFlags):
    """Learn a WordPiece vocabulary from raw text.

    Example:
      selfsup train-tokenizer my-texts/ --vocab-size 8192 --out my-tokenizer
    """

    corpus: tuple[str, ...] = argument(SOURCES, metavar="CORPUS")
    out: str = run_flag("folder to write the tokenizer to", metavar="DIR", required=True)
    vocab_size: int | None = flag(
        "size of the vocabulary; by default 30,522, or less if the text has no more",
        metavar="N",
        at_least=64,
        at_most=1_000_000,
        group="Tokenizer",
    )
    lowercase: bool = flag(
        "make all text lower case before tokenization", default=True, group="Tokenizer"
    )
    strip_accents: bool = flag(
        "remove accents from letters; this also splits Hangul syllables into letters",
        default=False,
        group="Tokenizer",
    )
    text_field: str = text_field()
    text_documents: str = text_documents()
    max_bad_fraction: float = max_bad_fraction()


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(ReadingFlags):
    """Turn raw text into token shards, ready for pre-training.

    After an interruption, the same command continues where it stopped.

    Example:
      selfsup prepare my-texts/ --tokenizer my-tokenizer --out my-shards
    """

    corpus: tuple[str, ...] = argument(SOURCES, metavar="CORPUS")
    tokenizer: str = data_flag("folder of the tokenizer", metavar="DIR", required=True)
    out: str = run_flag("folder to write the shards to", metavar="DIR", required=True)
    text_field: str = text_field()
    text_documents: str = text_documents()
    language: str = language()
    max_bad_fraction: float = max_bad_fraction()
    shard_tokens: int = data_flag(
        "size of a shard: it ends with the first document that reaches this number of tokens",
        default=1 << 26,
        metavar="N",
        at_least=1,
    )
    workers: int | None = fields.workers()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_language(self.language)
