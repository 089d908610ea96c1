"""Where words begin among a tokenizer's tokens, and what a token stands for in a text.

WordPiece marks the tokens that continue a word (``##ing``). Byte-level BPE and SentencePiece's
models mark those that begin one: the space before it is part of the token, written ``Ġ`` or ``▁``.
Punctuation that follows a word without a space continues it for these.
"""

import json
from typing import Any, Literal

import numpy as np
from tokenizers import Tokenizer, decoders

from selfsup.errors import UserError

Kind = Literal["wordpiece", "byte-level", "metaspace"]

METASPACE = "▁"
# How byte-level BPE writes the bytes of a space, a tab and the ends of lines.
_BYTE_SPACES = ("Ġ", "ĉ", "Ċ", "č")
# What tokenizers call the tokens with these parts.
_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
SPECIAL_PARTS = tuple(_NAMES)
_DECODER = decoders.ByteLevel()


def kind_of(tokenizer: Tokenizer) -> Kind:
    """How a tokenizer marks words.

    Raises:
        UserError: in another way.
    """
    if type(tokenizer.model).__name__ == "WordPiece":
        return "wordpiece"
    types = {part["type"] for part in _parts(tokenizer.pre_tokenizer)}
    if "ByteLevel" in types:
        return "byte-level"
    if "Metaspace" in types:
        return "metaspace"
    raise UserError(
        f"the tokenizer ({type(tokenizer.model).__name__}) marks the beginnings of words neither "
        "as WordPiece (##), nor as byte-level BPE (Ġ), nor as SentencePiece (▁): take another model"
    )


def marks_words(tokenizer: Tokenizer) -> bool:
    """Whether ``kind_of`` knows how a tokenizer marks words."""
    try:
        kind_of(tokenizer)
    except UserError:
        return False
    return True


def continuation_pieces(tokenizer: Tokenizer) -> np.ndarray:
    """Which tokens continue a word, bool [V]. Special tokens do not."""
    kind, numbers = kind_of(tokenizer), tokenizer.get_vocab(with_added_tokens=True)
    tokens = [""] * (max(numbers.values()) + 1)
    for token, number in numbers.items():
        tokens[number] = token
    if kind == "wordpiece":
        prefix = getattr(tokenizer.model, "continuing_subword_prefix", None) or "##"
        return np.array([token.startswith(prefix) for token in tokens])
    begins = _BYTE_SPACES if kind == "byte-level" else METASPACE
    continues = np.array([bool(token) and not token.startswith(begins) for token in tokens])
    continues[[*tokenizer.get_added_tokens_decoder()]] = False
    return continues


def text_of_token(tokenizer: Tokenizer, number: int) -> str:
    """What a token adds to a text. A space at its beginning is kept, ``##`` is not.

    A token of byte-level BPE may hold part of a character, which is shown as ``�``.
    """
    token, kind = tokenizer.id_to_token(number) or "", kind_of(tokenizer)
    if number in tokenizer.get_added_tokens_decoder():
        return token
    if kind == "byte-level":
        return _DECODER.decode([token])
    return token.replace(METASPACE, " ") if kind == "metaspace" else token.removeprefix("##")


def special_token(tokenizer: Tokenizer, part: str) -> str | None:
    """The token that plays a part: "pad", "unk", "cls", "sep" or "mask"; None if there is none."""
    for name in _NAMES[part]:
        if tokenizer.token_to_id(name) is not None:
            return name
    return None


def lead_of_words(tokenizer: Tokenizer) -> str:
    """What must precede a word that is encoded by itself, so that its first token begins a word.

    Some tokenizers do it themselves, or need no space.
    """
    parts = [part for part in _parts(tokenizer.pre_tokenizer) if part["type"] == "ByteLevel"]
    return " " if parts and not any(part["add_prefix_space"] for part in parts) else ""


def _parts(pre_tokenizer: Any) -> list[dict[str, Any]]:
    """The pre-tokenizer's parts as JSON; itself if it has none, nothing without one."""
    if pre_tokenizer is None:
        return []
    whole = json.loads(pre_tokenizer.__getstate__())
    return whole.get("pretokenizers", [whole])
