"""Fields that are the same in the settings of several commands: the data, and the machine."""

import re

from selfsup.errors import UserError
from selfsup.settings.fields import flag

SOURCES = (
    "text to read: .txt, .jsonl, .csv, .tsv or .parquet files (also .gz, .bz2, .xz, .zst), folders "
    "and globs of them, URLs, hf://NAME, or docs://installed"
)


def text_field() -> str:
    return flag(
        "field or column that holds the text",
        default="text",
        group="Data",
        metavar="NAME",
    )


def text_documents() -> str:
    return flag(
        "what a document is in plain text: a whole file, or a part between blank lines; "
        "auto means files where there are several",
        default="auto",
        group="Data",
        choices=("auto", "file", "blank-line"),
    )


def language() -> str:
    return flag(
        "language whose rules split the text into sentences: a code such as en or ko; "
        "auto guesses it from the script of each document",
        default="auto",
        group="Data",
        metavar="CODE",
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


def max_bad_fraction(records: str = "records") -> float:
    return flag(
        f"unreadable {records} are left out; stop when they are more than this share",
        default=0.01,
        group="Data",
        at_least=0,
        at_most=1,
    )


def workers() -> int | None:
    return flag(
        "processes that prepare text or decode images; by default one for each core, at most 16",
        default=None,
        group="Run",
        metavar="N",
        at_least=1,
    )


def device() -> str:
    return flag(
        "device to compute on; auto means a GPU if there is one",
        default="auto",
        group="Run",
        choices=("auto", "cpu", "cuda", "mps"),
    )


def precision() -> str:
    return flag(
        "number format of matrix products; auto means bf16 if the hardware supports it",
        default="auto",
        group="Run",
        choices=("auto", "bf16", "float32"),
    )


def threads() -> int | None:
    return flag(
        "CPU threads; by default all cores",
        default=None,
        group="Run",
        metavar="N",
        at_least=1,
    )


def seed() -> int:
    return flag(
        "random seed: the same seed gives the same run",
        default=0,
        group="Run",
        metavar="S",
        at_least=0,
        at_most=2**63 - 1,
    )
