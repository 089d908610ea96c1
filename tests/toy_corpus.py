"""A corpus of a few hundred simple sentences, enough to pre-train on for some steps."""

from pathlib import Path

import numpy as np

_TOPICS = (
    ("cat", "dog", "bird", "sees", "chases", "hears"),
    ("boat", "harbour", "sailor", "leaves", "reaches", "crosses"),
    ("engine", "wheel", "driver", "turns", "stops", "repairs"),
)


def toy_documents(count: int, seed: int = 1) -> list[str]:
    """Make documents of four to nine sentences, each on one of three topics."""
    random = np.random.default_rng(seed)
    documents = []
    for number in range(count):
        words = _TOPICS[number % len(_TOPICS)]
        sentences = []
        for _ in range(int(random.integers(4, 10))):
            subject, thing = random.choice(words[:3], 2)
            verb = random.choice(words[3:])
            sentences.append(
                f"The {subject} {verb} {random.integers(2, 99)} small {thing}s near the old house."
            )
        documents.append(" ".join(sentences))
    return documents


def write_toy_corpus(path: Path, count: int = 40, seed: int = 1) -> Path:
    """Write the documents to a text file, with blank lines between them."""
    path.write_text("\n\n".join(toy_documents(count, seed)) + "\n", encoding="utf-8")
    return path
