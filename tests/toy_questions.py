"""Questions that a tiny model learns in seconds: the answer is the only good word."""

import json
from pathlib import Path

import numpy as np

from tests.toy_task import GOOD, OTHER


def toy_questions(count: int, seed: int, *, unanswerable: bool = False) -> list[dict]:
    """Make SQuAD paragraphs of one question; with ``unanswerable`` every third has no answer."""
    random = np.random.default_rng(seed)
    paragraphs = []
    for number in range(count):
        words = list(map(str, random.choice(OTHER[:-1], random.integers(6, 30))))
        answer = str(random.choice(GOOD)).capitalize()
        question = {"id": f"q{number}", "question": "the film is", "answers": []}
        if unanswerable:
            question["is_impossible"] = number % 3 == 0
        if not (unanswerable and number % 3 == 0):
            words.insert(random.integers(len(words) + 1), answer)
            start = " ".join(words).index(answer)
            question["answers"] = [{"text": answer, "answer_start": start}]
        paragraphs.append({"context": " ".join(words), "qas": [question]})
    return paragraphs


def write_toy_questions(path: Path, count: int, seed: int, *, unanswerable: bool = False) -> Path:
    paragraphs = toy_questions(count, seed, unanswerable=unanswerable)
    version = "v2.0" if unanswerable else "1.1"
    path.write_text(json.dumps({"version": version, "data": [{"paragraphs": paragraphs}]}))
    return path
