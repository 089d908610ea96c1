"""Add to a WordPiece vocabulary the tokens that shorten a corpus most.

A candidate is two or more adjacent pieces of a word, joined: a whole word, its beginning, or
(``##``) a part that continues it. Its gain is the number of tokens that it saves in the corpus. The
candidate with the largest gain is added, the words that contain it are tokenized again, and the
gains of the candidates in them are updated. So what one token saves is not counted for another.
"""

import heapq
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.vocabulary import LONGEST_WORD, PREFIX, forget_rarest
from selfsup.corpus.tokenizer.wordpiece import vocabulary_size

# How many words (the most frequent of those with several pieces) and candidates (with the largest
# gains) are kept. Both bound the memory, to about 400 MB.
_MOST_WORDS = 1 << 17
_MOST_CANDIDATES = 1 << 20
# From a token that occurs once nothing can be learned.
_LEAST_FREQUENCY = 2

# The end of each piece of a word, in characters; empty if the word is [UNK].
Cuts = tuple[int, ...]


@dataclass(frozen=True)
class ExtensionReport:
    """What the new tokens change for a corpus.

    Attributes:
        added: number of new tokens.
        tokens_per_word_before, tokens_per_word_after: means over the corpus; ``[UNK]`` counts as
            one token.
        unknown_words: fraction of the words that are ``[UNK]``; joining pieces does not help them.
    """

    added: int
    tokens_per_word_before: float
    tokens_per_word_after: float
    unknown_words: float


def extend_tokenizer(
    tokenizer: Tokenizer, word_counts: Mapping[str, int], count: int
) -> tuple[Tokenizer, ExtensionReport]:
    """Add up to ``count`` tokens to a tokenizer; fewer if no more would shorten the corpus.

    All old tokens keep their ids; the new ones follow, those with the largest gain first.

    Args:
        tokenizer: WordPiece with BERT's normaliser and pre-tokenizer.
        word_counts: normalised words of the corpus and how often each occurs.
        count: how many tokens to add.

    Raises:
        ValueError: it is another kind of tokenizer.
    """
    parts = json.loads(tokenizer.to_str())
    model = parts["model"]
    if (model["type"], model.get("continuing_subword_prefix")) != ("WordPiece", PREFIX):
        raise ValueError("not a WordPiece tokenizer as BERT has it")
    vocabulary: dict[str, int] = model["vocab"]
    # Tokens added outside the vocabulary would otherwise get new ids after the new tokens.
    for token in parts["added_tokens"]:
        vocabulary.setdefault(token["content"], token["id"])
    longest = model["max_input_chars_per_word"]
    tokens = [token for token, _ in choose_tokens(word_counts, vocabulary, count, longest)]
    before = _Pieces(vocabulary, longest)
    after = _Pieces([*vocabulary, *tokens], longest)
    words = sum(word_counts.values())
    report = ExtensionReport(
        len(tokens),
        _token_count(word_counts, before) / words,
        _token_count(word_counts, after) / words,
        sum(count for word, count in word_counts.items() if not before.cuts(word)) / words,
    )
    first = vocabulary_size(tokenizer)
    vocabulary.update({token: first + index for index, token in enumerate(tokens)})
    return Tokenizer.from_str(json.dumps(parts)), report


def choose_tokens(
    word_counts: Mapping[str, int],
    vocabulary: Collection[str],
    count: int,
    longest_word: int = LONGEST_WORD,
) -> list[tuple[str, int]]:
    """Choose tokens greedily: each is the one that shortens the corpus most, given those before it.

    Candidates are examined in the order of what joining their pieces saves. What a token saves
    beyond that, because it moves the boundaries between other pieces, is counted only when it is
    examined. So sometimes another token would have saved a little more.

    Words that are ``[UNK]`` stay so, as they have no pieces to join. If a token would make another
    word ``[UNK]``, each character of that word counts against it.

    Args:
        word_counts: normalised words and how often each occurs.
        vocabulary: the existing tokens.
        count: how many to choose at most.
        longest_word: in characters; longer words are ``[UNK]``.

    Returns:
        Each token and its gain, in tokens of the corpus.
    """
    words = _CutWords(word_counts, _Pieces(vocabulary, longest_word))
    heap = [(-gain, token) for token, gain in words.gains.items()]
    heapq.heapify(heap)
    chosen: list[tuple[str, int]] = []
    while heap and len(chosen) < count:
        negative_gain, token = heapq.heappop(heap)
        gain = words.gains[token]
        if -negative_gain <= gain:
            gain, changed = words.with_token(token)
            if gain > 0 and (not heap or (-gain, token) <= heap[0]):
                chosen.append((token, gain))
                for new in words.add(token, changed):
                    heapq.heappush(heap, (-words.gains[new], new))
                continue
        if gain > 0:
            heapq.heappush(heap, (-gain, token))
    return chosen


def pieces_of_token(tokenizer: Tokenizer, token: str) -> list[int]:
    """The ids of the pieces into which a WordPiece tokenizer without this token splits it."""
    model = json.loads(tokenizer.to_str())["model"]
    ids: dict[str, int] = model["vocab"]
    is_continuing = token.startswith(PREFIX)
    text = token.removeprefix(PREFIX)
    pieces = _Pieces(ids, model["max_input_chars_per_word"])
    cuts = pieces.cuts(text, is_continuing=is_continuing)
    if not cuts:
        return [ids[model["unk_token"]]]
    return [
        ids[(PREFIX if start or is_continuing else "") + text[start:end]]
        for start, end in pairwise((0, *cuts))
    ]


class _Pieces:
    """Splits words as WordPiece does, by longest match from the left."""

    def __init__(self, tokens: Collection[str], longest_word: int) -> None:
        self._starting: set[str] = set()
        self._continuing: set[str] = set()
        self._longest_word = longest_word
        self._longest_token = 0
        for token in tokens:
            self.add(token)

    def add(self, token: str) -> None:
        self._side(token).add(token.removeprefix(PREFIX))
        self._longest_token = max(self._longest_token, len(token))

    def discard(self, token: str) -> None:
        self._side(token).discard(token.removeprefix(PREFIX))

    def __contains__(self, token: str) -> bool:
        return token.removeprefix(PREFIX) in self._side(token)

    def cuts(self, word: str, *, is_continuing: bool = False) -> Cuts:
        """The end of each piece; empty if no tokens spell the word, or it is too long."""
        length, start, cuts = len(word), 0, []
        if length > self._longest_word:
            return ()
        known = self._continuing if is_continuing else self._starting
        while start < length:
            for end in range(min(length, start + self._longest_token), start, -1):
                if word[start:end] in known:
                    cuts.append(end)
                    start, known = end, self._continuing
                    break
            else:
                return ()
        return tuple(cuts)

    def _side(self, token: str) -> set[str]:
        return self._continuing if token.startswith(PREFIX) else self._starting


class _CutWords:
    """The words of a corpus that take several pieces, and their current pieces."""

    def __init__(self, word_counts: Mapping[str, int], pieces: _Pieces) -> None:
        self._pieces = pieces
        cut = {word: cuts for word in word_counts if len(cuts := pieces.cuts(word)) > 1}
        self._words = sorted(cut, key=lambda word: (-word_counts[word], word))[:_MOST_WORDS]
        self._counts = [word_counts[word] for word in self._words]
        self._cuts: list[Cuts] = [cut[word] for word in self._words]
        # Every position in every word, as (word, offset), sorted by the text that begins there, so
        # that positions where a token's text begins are adjacent. Offset 0 is kept apart, like ##.
        self._beginnings = sorted(((w, 0) for w in range(len(self._words))), key=self._text_at)
        self._insides = sorted(
            ((w, offset) for w, word in enumerate(self._words) for offset in range(1, len(word))),
            key=self._text_at,
        )
        # All runs of adjacent pieces, joined, and the tokens that each saves by replacing them.
        self.gains: Counter[str] = Counter()
        for word in self._words:
            for token, saved in _joined(word, cut[word]):
                self.gains[token] += saved * word_counts[word]
            if len(self.gains) > 2 * _MOST_CANDIDATES:
                forget_rarest(self.gains, _MOST_CANDIDATES)

    def with_token(self, token: str) -> tuple[int, dict[int, Cuts]]:
        """What a new token would save, and the new cuts of the words that contain it."""
        if token in self._pieces:
            return 0, {}
        gain = frequency = 0
        changed: dict[int, Cuts] = {}
        self._pieces.add(token)
        for w in self._words_with(token):
            changed[w] = cuts = self._pieces.cuts(self._words[w])
            if cuts != self._cuts[w]:
                frequency += self._counts[w]
            # A word that becomes [UNK] costs one token per character, and one more.
            gain += self._counts[w] * (len(self._cuts[w]) - (len(cuts) or len(self._words[w]) + 1))
        self._pieces.discard(token)
        return (gain if frequency >= _LEAST_FREQUENCY else 0), changed

    def add(self, token: str, changed: Mapping[int, Cuts]) -> list[str]:
        """Add a token; returns the candidates whose gains grow, because words are cut elsewhere."""
        self._pieces.add(token)
        more: set[str] = set()
        for w, cuts in changed.items():
            word, count = self._words[w], self._counts[w]
            for joined, saved in _joined(word, self._cuts[w]):
                if joined in self.gains:
                    self.gains[joined] -= saved * count
            is_cut_elsewhere = not set(cuts) <= set(self._cuts[w])
            for joined, saved in _joined(word, cuts):
                if is_cut_elsewhere or joined in self.gains:
                    self.gains[joined] += saved * count
                if is_cut_elsewhere:
                    more.add(joined)
            self._cuts[w] = cuts
        return sorted(more)

    def _words_with(self, token: str) -> list[int]:
        """The words in which a piece begins where the token's text does."""
        text = token.removeprefix(PREFIX)
        positions = self._insides if token.startswith(PREFIX) else self._beginnings
        found: dict[int, None] = {}
        for index in range(bisect_left(positions, text, key=self._text_at), len(positions)):
            w, offset = positions[index]
            if not self._words[w].startswith(text, offset):
                break
            if offset == 0 or offset in self._cuts[w]:
                found[w] = None
        return list(found)

    def _text_at(self, position: tuple[int, int]) -> str:
        return self._words[position[0]][position[1] :]


def _joined(word: str, cuts: Cuts) -> Iterator[tuple[str, int]]:
    """Every run of two or more adjacent pieces of a word as one token, and the tokens it saves."""
    for first, start in enumerate((0, *cuts[:-1])):
        for last in range(first + 1, len(cuts)):
            yield (PREFIX if start else "") + word[start : cuts[last]], last - first


def _token_count(word_counts: Mapping[str, int], pieces: _Pieces) -> int:
    """Tokens in the corpus; ``[UNK]`` counts as one."""
    return sum(count * (len(pieces.cuts(word)) or 1) for word, count in word_counts.items())
