"""Tokens that someone added beside a vocabulary, as Hugging Face's tokenizer folders keep them.

They are found in a text before it is cut into words. ``tokenizer.json`` holds its own; this is for
folders with a bare ``vocab.txt``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

_FILE = "added_tokens.json"
# How a token may be set in tokenizer_config.json.
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def read_added_tokens(folder: Path, config: Mapping[str, Any]) -> dict[int, AddedToken]:
    """The added tokens by their ids, in order.

    ``transformers`` takes them from ``tokenizer_config.json`` if they are described there, and
    otherwise from ``added_tokens.json``, which holds ids alone: they are then normalised as texts
    are, so that a tokenizer that folds case finds them in any.

    Args:
        folder: where the vocabulary lies.
        config: what ``tokenizer_config.json`` says.
    """
    described = config.get("added_tokens_decoder")
    if described is not None:
        tokens = {
            int(number): AddedToken(
                entry["content"], **{flag: entry[flag] for flag in _FLAGS if flag in entry}
            )
            for number, entry in described.items()
        }
    elif (folder / _FILE).exists():
        numbers = json.loads((folder / _FILE).read_bytes())
        tokens = {number: AddedToken(token, normalized=True) for token, number in numbers.items()}
    else:
        tokens = {}
    return dict(sorted(tokens.items()))


def add_tokens(tokenizer: Tokenizer, tokens: Mapping[int, AddedToken]) -> None:
    """Add tokens in place; those that the tokenizer has already stay as they are.

    Raises:
        ValueError: a token would not have its id, because the vocabulary ends before it or holds
            another one there.
    """
    for number, token in tokens.items():
        tokenizer.add_tokens([token])
        found = tokenizer.token_to_id(token.content)
        if found != number:
            raise ValueError(
                f"the added token {token.content!r} has the id {number}, but the vocabulary leaves "
                f"it {found}: copy both files from the same model"
            )


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """The number of ids, those that no token has, between others, included."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
