"""``selfsup pretrain --extend-vocabulary``: a model's tokenizer with tokens of the new text."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from selfsup.atomic_files import write_bytes
from selfsup.corpus.text import clean_paragraphs
from selfsup.corpus.tokenizer.extension import ExtensionReport, extend_tokenizer, pieces_of_token
from selfsup.corpus.tokenizer.fast_wordpiece import cuts_at_spaces, word_cutter
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.corpus.tokenizer.training import count_words
from selfsup.corpus.train_tokenizer import sample_documents
from selfsup.errors import UserError
from selfsup.settings import PretrainSettings

REPORT = "vocabulary_extension.json"
# Above this share of unknown words another tokenizer is the better mend.
_MANY_UNKNOWN = 0.01


def write_extended_tokenizer(settings: PretrainSettings, model: Path, folder: Path) -> None:
    """Add the tokens that shorten the text most to a model's tokenizer, and say what it gave.

    Args:
        settings: name the text, and how many tokens.
        model: the model's folder.
        folder: where the tokenizer and the report, ``vocabulary_extension.json``, are written.

    Raises:
        UserError: the tokenizer is none that can be extended, or the text cannot be read.
    """
    assert settings.extend_vocabulary is not None
    tokenizer = load_tokenizer(model)
    check_extensible(tokenizer, model)
    print(f"Looking for tokens that shorten the text, for {folder}", file=sys.stderr)
    documents = sample_documents(
        settings.data,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        max_bad_fraction=settings.max_bad_fraction,
    )
    paragraphs = (line for document in documents for line in clean_paragraphs(document.text))
    word_counts = count_words(paragraphs, word_cutter(tokenizer))
    if not word_counts:
        raise UserError("the corpus holds no text: name another corpus")
    extended, report = extend_tokenizer(tokenizer, word_counts, settings.extend_vocabulary)
    print(_in_words(report, settings.extend_vocabulary), file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / REPORT, (json.dumps(dataclasses.asdict(report)) + "\n").encode())
    save_tokenizer(extended, folder)


def read_report(folder: Path) -> dict[str, Any] | None:
    """What was written beside an extended tokenizer; None where there is none."""
    path = folder / REPORT
    return json.loads(path.read_bytes()) if path.exists() else None


def new_tokens(old: Tokenizer, new: Tokenizer) -> dict[int, list[int]]:
    """The id of each token that only the new tokenizer has, and the ids of its old pieces."""
    known = old.get_vocab()
    return {
        number: pieces_of_token(old, token)
        for token, number in sorted(new.get_vocab().items(), key=lambda entry: entry[1])
        if token not in known
    }


def check_extensible(tokenizer: Tokenizer, model: Path) -> None:
    """Refuse a tokenizer whose words are not found as BERT finds them.

    Raises:
        UserError: it is one.
    """
    if not cuts_at_spaces(json.loads(tokenizer.to_str())):
        raise UserError(
            f"--extend-vocabulary: the tokenizer of {model} is not WordPiece with BERT's rules: "
            "leave this flag out"
        )


def _in_words(report: ExtensionReport, wanted: int) -> str:
    fewer = f" (no more would shorten this text, of {wanted:,})" if report.added < wanted else ""
    said = (
        f"Added {report.added:,} tokens{fewer}: {report.tokens_per_word_before:.3f} tokens a word "
        f"before, {report.tokens_per_word_after:.3f} after"
    )
    if report.unknown_words > _MANY_UNKNOWN:
        said += (
            f"; {report.unknown_words:.1%} of the words hold characters that this vocabulary "
            "lacks and stay [UNK]: a model with a tokenizer of its own may do better here"
        )
    return said
