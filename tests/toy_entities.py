"""A tagging task that a tiny model learns in seconds.

An entity begins with one of the first two good (or bad) words, and may continue with the others.
"""

from pathlib import Path

import numpy as np

from tests.toy_task import BAD, GOOD, OTHER

TAGS = ("O", "B-BAD", "I-BAD", "B-GOOD", "I-GOOD")


def toy_sentences(count: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Make sentences as (words, tags)."""
    random = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        words, tags = [], []
        for _ in range(random.integers(2, 7)):
            kind, kind_words = (("GOOD", GOOD), ("BAD", BAD), ("", ()))[random.integers(3)]
            if not kind:
                words.append(str(random.choice((*OTHER[:-1], "films"))))
                tags.append("O")
                continue
            inside = random.integers(3)
            words += [str(random.choice(kind_words[:2]))]
            words += map(str, random.choice(kind_words[2:], inside))
            tags += [f"B-{kind}"] + [f"I-{kind}"] * int(inside)
        sentences.append((words, tags))
    return sentences


def write_toy_conll(path: Path, count: int, seed: int) -> Path:
    blocks = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        for words, tags in toy_sentences(count, seed)
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path
