"""Learn a WordPiece vocabulary: count words, then repeatedly join the most frequent pair.

The trainer of ``tokenizers`` does the same, but its ids differ from run to run (they depend on the
order of a hash map), and it keeps every word in memory.
"""

import heapq
import unicodedata
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import accumulate

import numpy as np

PREFIX = "##"
LONGEST_WORD = 100  # in characters; BERT reads longer ones as [UNK]

# The most different words (or pieces) that are counted, beyond which the rarest are dropped, and
# the most that are learned from. Both bound the memory, to about 600 MB.
_MOST_COUNTED = 1 << 20
_MOST_LEARNED_FROM = 1 << 19
# The same in characters, for text without spaces. They are checked each time this many were read,
# so up to twice as many can be held.
_MOST_CHARACTERS_HELD = 1 << 25
_MOST_CHARACTERS_LEARNED_FROM = 5 << 20
# As in SentencePiece (Kudo & Richardson 2018): rarer characters become [UNK], so that a handful of
# quotations in other scripts do not fill the vocabulary.
_CHARACTER_COVERAGE = 0.9995
# Single characters take at most this fraction of the vocabulary, but 256 are always allowed. With
# 8,000 tokens, 0.8 % of the words of the Korean sample are then [UNK]; with a quarter 1.7 %, and
# texts have 2 % fewer tokens; with a half 0.3 %, and 4 % more tokens.
_MOST_CHARACTERS = 0.35
_CHARACTERS_ALLOWED = 256
# Korean writes laughter and tears in single letters (ㅋㅋ, ㅠㅠ). Edited text has hardly any, and
# without them such words are [UNK]: 7 % of the words of film reviews, with a vocabulary of 8,000
# learned from an encyclopaedia. A corpus with at least this many syllable tokens gets them all.
_KOREAN_LETTERS = "".join(map(chr, range(ord("ㄱ"), ord("ㅣ") + 1)))
_LEAST_SYLLABLES = 800

_ID_BITS = 24
_ID_MASK = (1 << _ID_BITS) - 1


def count_words(
    paragraphs: Iterable[str],
    words_of_piece: Callable[[str], list[str]],
    *,
    most_counted: int = _MOST_COUNTED,
) -> Counter[str]:
    """Count normalised words in bounded memory, except words longer than ``LONGEST_WORD``.

    Args:
        paragraphs: cleaned text.
        words_of_piece: as ``word_cutter`` makes it.
        most_counted: the most different words to keep; beyond it the rarest are dropped.
    """
    words: Counter[str] = Counter()
    pieces: Counter[str] = Counter()

    def settle() -> None:
        for piece, count in pieces.items():
            for word in words_of_piece(piece):
                if len(word) <= LONGEST_WORD:
                    words[word] += count
        pieces.clear()
        if len(words) > most_counted:
            forget_rarest(words, most_counted // 2)

    read = 0
    for paragraph in paragraphs:
        pieces.update(paragraph.split())
        read += len(paragraph)
        if len(pieces) > most_counted:
            settle()
        elif read > _MOST_CHARACTERS_HELD:
            read = 0
            if sum(map(len, pieces)) > _MOST_CHARACTERS_HELD:
                settle()
    settle()
    return words


def learn_vocabulary(word_counts: dict[str, int], size: int, *, min_frequency: int) -> list[str]:
    """Learn tokens from word counts.

    Args:
        word_counts: normalised words and how often each occurs.
        size: the most tokens to learn.
        min_frequency: a pair that occurs less often is not joined.

    Returns:
        At most ``size`` tokens, fewer if the words allow no more: single characters in the order of
        their code points, those that begin a word first, then joined tokens in the order they were
        learned.
    """
    word_counts = _most_frequent(word_counts)
    tokens = _alphabet(word_counts, size)
    ids = {token: index for index, token in enumerate(tokens)}
    pairs = _Pairs(word_counts, ids)
    heap = [(-count, pair) for pair, count in pairs.counts.items()]
    heapq.heapify(heap)
    while heap and len(tokens) < size:
        negative_count, pair = heapq.heappop(heap)
        count = pairs.counts.get(pair, 0)
        if count < min_frequency:
            continue
        if count != -negative_count:
            # It occurs less often than when it was pushed: other tokens used some occurrences.
            heapq.heappush(heap, (-count, pair))
            continue
        left, right = pair >> _ID_BITS, pair & _ID_MASK
        token = tokens[left] + tokens[right].removeprefix(PREFIX)
        joined = ids.setdefault(token, len(tokens))
        if joined == len(tokens):
            tokens.append(token)
        for changed in pairs.join(pair, joined):
            heapq.heappush(heap, (-pairs.counts[changed], changed))
    return tokens


def _most_frequent(word_counts: dict[str, int]) -> dict[str, int]:
    """The words to learn from; words of equal frequency stay in the order they were met."""
    words = Counter(word_counts).most_common(_MOST_LEARNED_FROM)
    ends = list(accumulate(len(word) for word, _ in words))
    return dict(words[: bisect_right(ends, _MOST_CHARACTERS_LEARNED_FROM)])


class _Pairs:
    """Adjacent tokens within words: how often each pair occurs, and where.

    All words are concatenated in one array; joining a pair keeps its first position and unlinks the
    second. A pair is one integer, with the first id in the upper bits.
    """

    def __init__(self, word_counts: dict[str, int], ids: dict[str, int]) -> None:
        # Lists would hold an object per number, which takes several times the memory.
        symbols, weights, following = array("i"), array("q"), array("i")
        for word, count in word_counts.items():
            pieces = [ids.get(word[0]), *(ids.get(PREFIX + c) for c in word[1:])]
            if None not in pieces:
                following.extend(range(len(symbols) + 1, len(symbols) + len(pieces)))
                following.append(-1)
                symbols.extend(pieces)  # type: ignore[arg-type]
                weights.extend([count] * len(pieces))
        self._symbols, self._weights, self._following = symbols, weights, following
        self._preceding = array("i", [-1]) * len(symbols)
        for position, after in enumerate(following):
            if after >= 0:
                self._preceding[after] = position
        self.counts: dict[int, int] = defaultdict(int)
        self._positions: dict[int, list[int]] = defaultdict(list)

        ids_at = np.array(symbols, np.int64)
        first = np.flatnonzero(np.array(following, np.int64) >= 0)
        pairs = ids_at[first] << _ID_BITS | ids_at[first + 1]
        order = np.argsort(pairs, kind="stable")
        unique, starts = np.unique(pairs[order], return_index=True)
        sorted_weights = np.array(weights, np.int64)[first][order]
        counts = np.add.reduceat(sorted_weights, starts) if len(starts) else sorted_weights
        self.counts.update(zip(unique.tolist(), counts.tolist(), strict=True))
        positions = np.split(first[order], starts[1:])
        for pair, where in zip(unique.tolist(), positions, strict=False):
            self._positions[pair] = where.tolist()

    def join(self, pair: int, joined: int) -> set[int]:
        """Replace a pair by one token everywhere; returns the pairs that became more frequent."""
        symbols, following, preceding = self._symbols, self._following, self._preceding
        counts, positions = self.counts, self._positions
        left, right = pair >> _ID_BITS, pair & _ID_MASK
        more = set()
        # From left to right: in "a a a" only the first pair is joined.
        for position in sorted(positions.pop(pair)):
            second = following[position]
            if symbols[position] != left or second < 0 or symbols[second] != right:
                continue  # One of the two was joined to another token since.
            weight = self._weights[position]
            after, before = following[second], preceding[position]
            symbols[position], symbols[second] = joined, -1
            following[position] = after
            if after >= 0:
                preceding[after] = position
                counts[right << _ID_BITS | symbols[after]] -= weight
                new = joined << _ID_BITS | symbols[after]
                counts[new] += weight
                positions[new].append(position)
                more.add(new)
            if before >= 0:
                counts[symbols[before] << _ID_BITS | left] -= weight
                new = symbols[before] << _ID_BITS | joined
                counts[new] += weight
                positions[new].append(before)
                more.add(new)
        del counts[pair]
        more.discard(pair)
        return more


def _alphabet(word_counts: dict[str, int], size: int) -> list[str]:
    """The characters to keep: as the beginning of a word and, with the prefix, inside one."""
    counts: Counter[str] = Counter()
    for word, count in word_counts.items():
        counts[word[0]] += count
        for character in word[1:]:
            counts[PREFIX + character] += count
    by_frequency = sorted(counts, key=lambda token: (-counts[token], token))
    covered = np.cumsum([counts[token] for token in by_frequency])
    enough = int(np.searchsorted(covered, _CHARACTER_COVERAGE * counts.total())) + 1
    allowed = min(size, max(_CHARACTERS_ALLOWED, int(size * _MOST_CHARACTERS)))
    letters: list[str] = []
    if sum("가" <= token[-1] <= "힣" for token in by_frequency[:enough]) >= _LEAST_SYLLABLES:
        letters = [form for c in _KOREAN_LETTERS for form in (c, PREFIX + c)]
    kept = by_frequency[: max(0, min(enough, allowed, size - len(letters)))]
    # A word as long as this is cut from a longer one; in other texts any of its characters may
    # be the first of a piece.
    cut = {PREFIX + c for word in word_counts if len(word) == LONGEST_WORD for c in word}
    inside = (token[-1] for token in cut.intersection(kept))
    letters += [c for c in inside if not unicodedata.category(c).startswith("M")]
    kept += sorted(set(letters).difference(kept))[: size - len(kept)]
    return sorted(kept, key=lambda token: (len(token) > 1, token))


def forget_rarest(words: Counter[str], kept: int) -> None:
    """Drop the rarest words, so that at most ``kept`` are left; equally rare ones go together."""
    frequencies = sorted(words.values(), reverse=True)
    threshold = frequencies[kept]
    for word in [word for word, count in words.items() if count <= threshold]:
        del words[word]
