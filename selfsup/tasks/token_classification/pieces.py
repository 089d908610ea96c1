"""The token ids of words that are already split: in running text, or as parts of a word."""

import json
from collections.abc import Collection
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.unknown import unknown_token
from selfsup.errors import UserError
from selfsup.tasks.text_windows import plain_tokenizer

# The tokenizer's own form of an encoded text takes kilobytes, so it gets this many words at once.
_WORDS_IN_BLOCK = 4096
Pieces = dict[str, np.ndarray]


def pieces_of(words: Collection[str], tokenizer: Tokenizer) -> Pieces:
    """The token ids of each word in running text, int32; one without tokens gets ``[UNK]``.

    Where spaces are part of the tokens, as in byte-level BPE, each word has one before it, also the
    first of a text. ``transformers`` does so with ``add_prefix_space``.
    """
    return _encoded(words, _with_spaces(tokenizer, before=True))


def continuing_pieces_of(words: Collection[str], tokenizer: Tokenizer) -> Pieces:
    """The token ids of words that continue the word before them: as pieces of a longer one."""
    prefix = getattr(tokenizer.model, "continuing_subword_prefix", None)
    found = _encoded(words, _with_spaces(tokenizer, before=False))
    return {word: _continuing(pieces, tokenizer, prefix or "") for word, pieces in found.items()}


def _encoded(words: Collection[str], tokenizer: Tokenizer) -> Pieces:
    tokenizer = plain_tokenizer(tokenizer, special_as_text=True)
    unknown = np.array([_unknown_id(tokenizer)], np.int32)
    found, ordered = {}, sorted(words)
    for first in range(0, len(ordered), _WORDS_IN_BLOCK):
        block = ordered[first : first + _WORDS_IN_BLOCK]
        encodings = tokenizer.encode_batch_fast(block, add_special_tokens=False)
        for word, encoding in zip(block, encodings, strict=True):
            found[word] = np.asarray(encoding.ids, np.int32) if len(encoding) else unknown
    return found


def _continuing(pieces: np.ndarray, tokenizer: Tokenizer, prefix: str) -> np.ndarray:
    """The pieces, the first as it stands inside of words if the tokenizer has that."""
    inside = tokenizer.token_to_id(f"{prefix}{tokenizer.id_to_token(int(pieces[0]))}")
    return pieces if inside is None else np.array([inside, *pieces[1:]], np.int32)


def _with_spaces(tokenizer: Tokenizer, *, before: bool) -> Tokenizer:
    """The tokenizer with or without a space before a text, if spaces are part of its tokens."""
    parts = json.loads(tokenizer.to_str())
    changed = _set_spaces(parts["pre_tokenizer"], before=before)
    return Tokenizer.from_str(json.dumps(parts)) if changed else tokenizer


def _set_spaces(pre_tokenizer: dict[str, Any] | None, *, before: bool) -> bool:
    match pre_tokenizer:
        case {"type": "ByteLevel"}:
            pre_tokenizer["add_prefix_space"] = before
        case {"type": "Metaspace"}:
            pre_tokenizer["prepend_scheme"] = "always" if before else "never"
        case {"type": "Sequence", "pretokenizers": [*parts]}:
            changed = [_set_spaces(part, before=before) for part in parts]
            return any(changed)
        case _:
            return False
    return True


def _unknown_id(tokenizer: Tokenizer) -> int:
    number = unknown_token(tokenizer)
    if number is None:
        raise UserError(
            "the tokenizer has no unknown token as BERT's WordPiece has: take another model for "
            "token-classification"
        )
    return number
