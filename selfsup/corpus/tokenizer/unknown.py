"""How much of a text a tokenizer cannot read, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.words import special_token

_TOLD = 0.001  # a smaller share is not worth a sentence
_MUCH = 0.01
_TRAIN = (
    "train a tokenizer on this text with selfsup train-tokenizer, or with a larger --vocab-size if "
    "it was"
)
_CUT = (
    "train a tokenizer with selfsup train-tokenizer, which cuts words of more than 100 characters"
)


class UnknownCharacters(NamedTuple):
    """Counts of characters, without white space.

    Attributes:
        characters: all.
        unknown_characters: those in words that become ``[UNK]``.
        unknown_in_long_words: those of them in words that are too long for the tokenizer.
    """

    characters: int
    unknown_characters: int
    unknown_in_long_words: int

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> "UnknownCharacters":
        """The counts of prepared text; 0 where an earlier version did not count."""
        return cls(*(manifest.get(name, 0) for name in cls._fields))

    @property
    def what(self) -> str:
        """The share of the characters that becomes ``[UNK]``, in words; empty if it is tiny."""
        if self._share < _TOLD:
            return ""
        what = f"{self._share:.1%} of the characters are in words that become [UNK]"
        if self._share < _MUCH:
            return what
        if self._are_long:
            return f"{what}, most of them in words that are too long for this tokenizer"
        return f"{what}, as this tokenizer lacks some of their characters"

    def fix(self, otherwise: str = _TRAIN) -> str:
        """What to do; empty if the share is small. ``otherwise`` is for unknown characters."""
        if self._share < _MUCH:
            return ""
        return _CUT if self._are_long else otherwise

    def note(self, otherwise: str = _TRAIN) -> str:
        """Both in one sentence."""
        return ": ".join(filter(None, (self.what, self.fix(otherwise))))

    @property
    def _share(self) -> float:
        return self.unknown_characters / max(1, self.characters)

    @property
    def _are_long(self) -> bool:
        return 2 * self.unknown_in_long_words > self.unknown_characters


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """The id of ``[UNK]``, whatever the tokenizer calls it; None if it has no such token."""
    name = getattr(tokenizer.model, "unk_token", None)
    named = None if name is None else tokenizer.token_to_id(name)
    # Unigram and byte-level BPE name none.
    other = special_token(tokenizer, "unk")
    return tokenizer.token_to_id(other) if named is None and other is not None else named


def longest_word(tokenizer: Tokenizer) -> float:
    """The most characters of a word that the tokenizer takes."""
    return getattr(tokenizer.model, "max_input_chars_per_word", float("inf"))


def count_unknown(tokenizer: Tokenizer, texts: Sequence[str]) -> UnknownCharacters:
    """Count the characters of texts that become ``[UNK]``."""
    counts, longest, unknown = (0, 0, 0), longest_word(tokenizer), unknown_token(tokenizer)
    # Without positions, which takes half the time; most texts hold nothing unknown.
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
        lengths = unknown_words(tokenizer, text) if unknown in encoding.ids else []
        in_long = sum(length for length in lengths if length > longest)
        characters = sum(map(len, text.split()))
        counts = (counts[0] + characters, counts[1] + sum(lengths), counts[2] + in_long)
    return UnknownCharacters(*counts)


def unknown_words(tokenizer: Tokenizer, text: str) -> list[int]:
    """The length of each word of a text that becomes ``[UNK]``, in characters."""
    unknown = unknown_token(tokenizer)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    spans = zip(encoding.offsets, encoding.ids, strict=True)
    return [end - start for (start, end), number in spans if number == unknown]
