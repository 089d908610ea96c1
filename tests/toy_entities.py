"""A tagging task that a tiny model learns: good words are ``GOOD`` entities, bad ones ``BAD``.

Neighbouring words of a kind are one entity.
"""

from pathlib import Path

import numpy as np

from tests.toy_task import BAD, GOOD, OTHER

TAGS = ("O", "B-BAD", "I-BAD", "B-GOOD", "I-GOOD")


def toy_sentences(count: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """(words, tags) of two to ten words."""
    random = np.random.default_rng(seed)
    choices = (*GOOD, *BAD, *OTHER[:-1], "films")
    sentences = []
    for _ in range(count):
        words = [str(word) for word in random.choice(choices, random.integers(2, 11))]
        tags, previous = [], None
        for word in words:
            kind = "GOOD" if word in GOOD else "BAD" if word in BAD else None
            tags.append("O" if kind is None else f"{'I' if kind == previous else 'B'}-{kind}")
            previous = kind
        sentences.append((words, tags))
    return sentences


def write_toy_conll(path: Path, count: int, seed: int) -> Path:
    blocks = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        for words, tags in toy_sentences(count, seed)
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path
