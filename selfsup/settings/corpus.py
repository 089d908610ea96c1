"""Settings of the commands that turn raw text into token shards."""

import re
from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings.fields import argument, check_values, flag

SOURCES = (
    "text to read: .txt, .jsonl, .csv, .tsv or .parquet files (also .gz, .bz2, .xz, .zst), folders "
    "and globs of them, URLs, hf://NAME, or docs://installed"
)


def text_field() -> str:
    return flag(
        "the field or column that holds the text",
        default="text",
        group="Data",
        metavar="NAME",
    )


def text_documents() -> str:
    return flag(
        "what a document is in plain text: each file, or what blank lines set apart; "
        "auto takes each file where there are several",
        default="auto",
        group="Data",
        choices=("auto", "file", "blank-line"),
    )


def language() -> str:
    return flag(
        "the language whose rules divide the text into sentences, as a code such as en or ko; "
        "auto guesses it from the script of each document",
        default="auto",
        group="Data",
        metavar="CODE",
    )


def check_language(language: str) -> None:
    """Refuse what is no code of a language, such as its name; there is no list of all codes.

    Raises:
        UserError: says what a code is.
    """
    if language != "auto" and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", language):
        raise UserError(
            f"--language must be auto or a code of two or three small letters, such as en or ko, "
            f"not {language!r}"
        )


def max_bad_fraction() -> float:
    return flag(
        "stop when more than this share of the records cannot be read",
        default=0.01,
        group="Data",
        at_least=0,
        at_most=1,
    )


def workers() -> int | None:
    return flag(
        "processes that prepare text or decode images; one a core, at most 16, if not given",
        default=None,
        group="Run",
        metavar="N",
        at_least=1,
    )


def lowercase() -> bool:
    return flag("make all text lower case before it is divided", default=True, group="Tokenizer")


def strip_accents() -> bool:
    return flag(
        "take the accents off letters; this also takes Hangul syllables apart",
        default=False,
        group="Tokenizer",
    )


@dataclass(frozen=True, kw_only=True)
class TrainTokenizerSettings:
    """Learn a WordPiece vocabulary from raw text.

    Example:
      selfsup train-tokenizer my-texts/ --vocab-size 8192 --out my-tokenizer
    """

    corpus: tuple[str, ...] = argument(SOURCES, metavar="CORPUS")
    out: str = flag("folder to write the tokenizer to", group="Run", metavar="DIR")
    vocab_size: int | None = flag(
        "entries in the vocabulary; 30,522, or as many as the text allows, if not given",
        default=None,
        group="Tokenizer",
        metavar="N",
        at_least=64,
        at_most=1_000_000,
    )
    lowercase: bool = lowercase()
    strip_accents: bool = strip_accents()
    text_field: str = text_field()
    text_documents: str = text_documents()
    max_bad_fraction: float = max_bad_fraction()

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """Turn raw text into token shards, ready for pre-training.

    An interrupted run continues where it stopped when the same command is given again.

    Example:
      selfsup prepare my-texts/ --tokenizer my-tokenizer --out my-shards
    """

    corpus: tuple[str, ...] = argument(SOURCES, metavar="CORPUS")
    tokenizer: str = flag("folder of the tokenizer", group="Data", metavar="DIR")
    out: str = flag("folder to write the shards to", group="Run", metavar="DIR")
    text_field: str = text_field()
    text_documents: str = text_documents()
    language: str = language()
    max_bad_fraction: float = max_bad_fraction()
    shard_tokens: int = flag(
        "a shard ends with the document that brings it to so many tokens",
        default=1 << 26,
        group="Data",
        metavar="N",
        at_least=1,
    )
    workers: int | None = workers()

    def __post_init__(self) -> None:
        check_values(self)
        check_language(self.language)
