"""Answers of a model as a run keeps them, made by the tasks themselves from made-up predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.label_fields import RawLabel
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.question_answering.data import Answer, Questions
from selfsup.tasks.question_answering.task import QuestionAnswering
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts
from selfsup.tasks.token_classification.task import TokenClassification

Record = dict[str, Any]


def of_one_label(*entries: tuple[str, str, float], second: list[str] | None = None) -> list[Record]:
    """(text, its label, how probable "up" is)."""
    predictions = [
        {
            "label": "up" if p > 0.5 else "down",
            "probability": max(p, 1 - p),
            "probabilities": {"down": 1 - p, "up": p},
        }
        for _, _, p in entries
    ]
    return _of_texts([text for text, _, _ in entries], second, [e[1] for e in entries], predictions)


def of_several_labels(*entries: tuple[str, tuple[str, ...], dict[str, float]]) -> list[Record]:
    """(text, its labels, how probable each label is)."""
    predictions = [
        {"labels": [name for name, p in found.items() if p > 0.5], "probabilities": found}
        for _, _, found in entries
    ]
    return _of_texts([e[0] for e in entries], None, [e[1] for e in entries], predictions)


def of_numbers(*entries: tuple[str, str, float]) -> list[Record]:
    """(text, its number, the number predicted)."""
    predictions = [{"value": value} for _, _, value in entries]
    return _of_texts([e[0] for e in entries], None, [e[1] for e in entries], predictions)


def of_questions(*entries: tuple[str, list[str], str, float]) -> list[Record]:
    """(question, the answers expected, the answer given, its probability)."""
    questions = Questions(
        "f",
        [str(number) for number in range(len(entries))],
        [entry[0] for entry in entries],
        ["a context"],
        np.zeros(len(entries), np.int64),
        [tuple(Answer(text, 0) for text in entry[1]) for entry in entries],
        True,
    )
    predictions = [
        {"answer": answer, "start": 0, "end": len(answer), "probability": p, "n_best": []}
        for _, _, answer, p in entries
    ]
    return list(QuestionAnswering().records(questions, predictions))


def of_sentences(*entries: tuple[str, str, str, list[float]]) -> list[Record]:
    """(words, their tags, the tags predicted, their probabilities)."""
    sentences = []
    for line, (words, tags, _, _) in enumerate(entries, 1):
        lines = [line] * len(words.split())
        sentences.append(TaggedText.from_words(line, words.split(), tags.split(), lines))
    predictions = [
        {
            "entities": [],
            "words": words.split(),
            "tags": found.split(),
            "tag_probabilities": probabilities,
        }
        for words, _, found, probabilities in entries
    ]
    return list(TokenClassification().records(TaggedTexts("f", sentences), predictions))


def keep(run: Path, records: list[Record]) -> Path:
    """Write the records to a run's folder as its answers."""
    lines = [json.dumps(record) + "\n" for record in records]
    (run / "validation_predictions.jsonl").write_text("".join(lines), encoding="utf-8")
    return run


def _of_texts(
    texts: list[str],
    second: list[str] | None,
    labels: list[RawLabel],
    predictions: list[dict[str, Any]],
) -> list[Record]:
    examples = LabelledTexts("f", list(range(1, len(texts) + 1)), texts, second, labels)
    return list(Classification(paired=False).records(examples, predictions))
