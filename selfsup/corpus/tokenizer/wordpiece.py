"""BERT's tokenizer, and an encoder that gives its ids several times faster on running text.

WordPiece is a function of the word, and words repeat. So text is split at white space, where BERT's
normaliser and pre-tokenizer always split, and the ids of each piece are looked up in a cache. A
piece that is not in the cache is normalised and split into words by ``tokenizers`` (or, if it is
plain ASCII or Hangul, by an equivalent regular expression), and each word into tokens here.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from selfsup.corpus.tokenizer.unknown import longest_word, unknown_token, unknown_words
from selfsup.corpus.tokenizer.vocabulary import LONGEST_WORD
from selfsup.corpus.tokenizer.words import lead_of_words
from selfsup.shards.tokens import token_dtype

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# Longer pieces are rarely words, and a cache of them would have no bound in bytes.
_LONGEST_CACHED = 64
# The white space that tokenizers splits at in every configuration. str.split() also splits at
# U+000B, U+001C and others, which BERT's normaliser deletes, joining their neighbours.
_SPACES = re.compile(r"[ \t\n\r]+")
# The pieces of a word that is too long; none begins with a combining mark, unless all do.
_PIECES = rf"(?m).{{1,{LONGEST_WORD}}}(?!\p{{M}})|.{{{LONGEST_WORD}}}"


def wordpiece_tokenizer(
    vocabulary: dict[str, int],
    *,
    lowercase: bool,
    strip_accents: bool | None,
    split_chinese_characters: bool = True,
) -> Tokenizer:
    """Build BERT's tokenizer from a vocabulary (token → id).

    Args:
        vocabulary: contains the five special tokens, at any ids.
        lowercase: fold case before looking tokens up.
        strip_accents: decompose and drop combining marks, which also splits Hangul syllables into
            letters; None is BERT's original rule: do so if ``lowercase``.
        split_chinese_characters: make every CJK ideograph a separate word.
    """
    model = WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(
        clean_text=True,
        handle_chinese_chars=split_chinese_characters,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    if vocabulary:
        tokenizer.add_special_tokens(
            [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
        )
        sep, cls = vocabulary["[SEP]"], vocabulary["[CLS]"]
        tokenizer.post_processor = BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    return tokenizer


def compose_and_cut(tokenizer: Tokenizer) -> Tokenizer:
    """Give BERT's tokenizer the rules of the tokenizers that are trained here, and return it.

    Text is composed (NFC) first. Words of more than ``LONGEST_WORD`` characters, as in scripts
    without spaces, are cut into pieces of at most that length: to BERT each is one ``[UNK]``. All
    other text is tokenized as before.
    """
    compose, cut = normalizers.NFC(), pre_tokenizers.Split(Regex(_PIECES), "isolated")
    tokenizer.normalizer = normalizers.Sequence([compose, tokenizer.normalizer])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([tokenizer.pre_tokenizer, cut])
    return tokenizer


def before_compose_and_cut(parts: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer, as JSON, without the rules of ``compose_and_cut``; itself if it has others."""
    match parts:
        case {
            "normalizer": {"normalizers": [{"type": "NFC"}, normalizer]},
            "pre_tokenizer": {"pretokenizers": [words, {"pattern": {"Regex": pattern}}]},
        } if pattern == _PIECES:
            return {**parts, "normalizer": normalizer, "pre_tokenizer": words}
    return parts


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """The number of ids, including unused ids below the largest one."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


class WordPieceEncoder:
    """Encodes texts that follow others in a document, without special tokens.

    Of a byte-level BPE a space precedes each text, so that its first token begins a word.
    The ids equal those of ``tokenizer.encode(text, add_special_tokens=False)`` with
    ``tokenizer.encode_special_tokens`` set, without truncation: ``[MASK]`` in a text is not the
    mask token but three ordinary words.
    """

    def __init__(self, tokenizer: Tokenizer, *, cache_size: int = 1 << 18) -> None:
        """Args:
        tokenizer: any; only WordPiece with BERT's normaliser and pre-tokenizer becomes faster.
        cache_size: how many pieces, and how many words, are cached, at about 200 bytes each.
        """
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self.dtype = token_dtype(vocabulary_size(tokenizer))
        parts = json.loads(tokenizer.to_str())
        self._unknown_words = partial(unknown_words, self._tokenizer)
        self._lead = lead_of_words(self._tokenizer)
        self._ids_of_piece: _Cache | None = None
        if cuts_at_spaces(parts):
            # Added tokens are found in a text before it is split into words: leave that to
            # tokenizers.
            may_hold_added = not all(token["special"] for token in parts["added_tokens"])
            encode = self._encode_slowly
            if not may_hold_added:
                encode = self._piece_encoder(parts["model"], cache_size)
            self._ids_of_piece = _Cache(encode, cache_size)

    def encode_batch(self, texts: list[str]) -> list[bytes]:
        """Encode texts; each result is the ids' bytes in ``self.dtype``."""
        if self._ids_of_piece is None:
            return list(map(self._encode_slowly, texts))
        ids_of_piece = self._ids_of_piece.__getitem__
        return [
            # No printable character but U+0020 is white space, so split() cuts just there.
            b"".join(map(ids_of_piece, text.split() if text.isprintable() else _SPACES.split(text)))
            for text in texts
        ]

    def count_characters(self, texts: list[str], encoded: list[bytes]) -> np.ndarray:
        """Count the characters of each text, as in ``UnknownCharacters``: int64 [N, 3].

        Args:
            texts: N, without white space other than U+0020.
            encoded: what ``encode_batch`` gives for them.
        """
        counts = np.zeros((len(texts), 3), np.int64)
        counts[:, 0] = [len(text) - text.count(" ") for text in texts]
        ends = np.cumsum([len(ids) // self.dtype.itemsize for ids in encoded])
        unknown = np.frombuffer(b"".join(encoded), self.dtype) == unknown_token(self._tokenizer)
        holders = np.unique(np.searchsorted(ends, np.flatnonzero(unknown), side="right"))
        longest = longest_word(self._tokenizer)
        for index in holders.tolist():
            lengths = self._unknown_words(texts[index])
            counts[index, 1:] = sum(lengths), sum(n for n in lengths if n > longest)
        return counts

    def _encode_slowly(self, text: str) -> bytes:
        ids = self._tokenizer.encode(self._lead + text, add_special_tokens=False).ids
        return np.array(ids, self.dtype).tobytes()

    def _piece_encoder(self, model: dict[str, Any], cache_size: int) -> Callable[[str], bytes]:
        ids_of_word = _Cache(_word_encoder(model, self.dtype.itemsize), cache_size).__getitem__
        words_of_piece = word_cutter(self._tokenizer)
        unknown = model["vocab"][model["unk_token"]].to_bytes(self.dtype.itemsize, "little")

        def unknown_words(text: str) -> list[int]:
            words = (word for piece in text.split() for word in words_of_piece(piece))
            return [len(word) for word in words if ids_of_word(word) == unknown]

        self._unknown_words = unknown_words
        return lambda piece: b"".join(map(ids_of_word, words_of_piece(piece)))


class _Cache(dict[str, bytes]):
    """Caches a function's results; drops all of them when there are too many.

    Frequent words are back within a few sentences; choosing what to keep would cost more.
    """

    def __init__(self, function: Callable[[str], bytes], limit: int) -> None:
        super().__init__()
        self._function = function
        self._limit = limit

    def __missing__(self, text: str) -> bytes:
        result = self._function(text)
        if len(text) <= _LONGEST_CACHED:
            if len(self) >= self._limit:
                self.clear()
            self[text] = result
        return result


def cuts_at_spaces(parts: dict[str, Any]) -> bool:
    """Whether a tokenizer always splits at spaces, so that no token depends on text beyond one."""
    parts = before_compose_and_cut(parts)
    return (
        (parts["normalizer"] or {}).get("type") == "BertNormalizer"
        and (parts["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer"
        and parts["model"]["type"] == "WordPiece"
        and not any(_SPACES.search(token["content"]) for token in parts["added_tokens"])
    )


def word_cutter(tokenizer: Tokenizer) -> Callable[[str], list[str]]:
    """A function from a piece of text without white space to its normalised words.

    The tokenizer must have BERT's normaliser and pre-tokenizer, or those of ``compose_and_cut``.
    """
    parts = json.loads(tokenizer.to_str())
    as_berts = before_compose_and_cut(parts)
    settings, cuts = as_berts["normalizer"], as_berts is not parts
    normalize = tokenizer.normalizer.normalize_str
    pre_tokenize = tokenizer.pre_tokenizer.pre_tokenize_str
    strips_accents = settings["strip_accents"]
    if strips_accents is None:
        strips_accents = settings["lowercase"]
    # Stripping accents decomposes, which splits Hangul syllables into letters.
    hangul = "" if strips_accents else "가-힣"
    is_plain = re.compile(f"[!-~{hangul}]+").fullmatch
    # Every ASCII character that is neither letter nor digit is punctuation to BERT.
    most = f"{{1,{LONGEST_WORD}}}" if cuts else "+"
    cut_plain = re.compile(rf"[0-9A-Za-z{hangul}]{most}|[!-/:-@\[-`{{-~]").findall
    lowercase = settings["lowercase"]
    cut_short = BertPreTokenizer().pre_tokenize_str  # holds no word that is too long

    def words(piece: str) -> list[str]:
        if is_plain(piece):
            return cut_plain(piece.lower() if lowercase else piece)
        normalized = normalize(piece)
        cut = pre_tokenize if len(normalized) > LONGEST_WORD else cut_short
        return [word for word, _ in cut(normalized)]

    return words


def _word_encoder(model: dict[str, Any], id_bytes: int) -> Callable[[str], bytes]:
    """A function from a word to its ids, by longest match from the left.

    Args:
        model: WordPiece, as in the tokenizer's JSON.
        id_bytes: how many bytes an id takes.
    """
    starting = {t: number.to_bytes(id_bytes, "little") for t, number in model["vocab"].items()}
    prefix = model["continuing_subword_prefix"]
    continuing = {t.removeprefix(prefix): i for t, i in starting.items() if t.startswith(prefix)}
    longest_token = max(map(len, starting), default=0)
    longest_word = model["max_input_chars_per_word"]
    unknown = starting[model["unk_token"]]

    def encode(word: str) -> bytes:
        if (length := len(word)) > longest_word:
            return unknown
        result, start, find = b"", 0, starting.get
        while start < length:
            for end in range(min(length, start + longest_token), start, -1):
                token = find(word[start:end])
                if token is not None:
                    result += token
                    start, find = end, continuing.get
                    break
            else:
                return unknown
        return result

    return encode
