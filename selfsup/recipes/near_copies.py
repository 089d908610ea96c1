"""Find documents that share most of their text, such as a docstring copied and amended."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_RUN = 8  # words in a row that count as copied; shorter ones occur by chance
_COPIED = 0.5  # the part of the shorter text's runs that must occur in the other


class NearCopies:
    """Texts that others are compared with, word by word, upper and lower case alike."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._holders: defaultdict[int, list[int]] = defaultdict(list)
        self._runs: list[int] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Add a text to compare with."""
        runs = _runs(text)
        for run in runs:
            self._holders[run].append(len(self._runs))
        self._runs.append(len(runs))

    def has_one_of(self, text: str) -> bool:
        """Whether the text holds half or more of one that was added, or is held so in one.

        Half of its runs of eight words, that is; a text of fewer words is one run.
        """
        runs = _runs(text)
        found = Counter(holder for run in runs for holder in self._holders.get(run, ()))
        return any(
            count >= _COPIED * min(self._runs[holder], len(runs)) for holder, count in found.items()
        )


def _runs(text: str) -> set[int]:
    words = _WORD.findall(text.lower())
    return {hash(" ".join(words[at : at + _RUN])) for at in range(max(1, len(words) - _RUN + 1))}
