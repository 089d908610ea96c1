"""Scores of text classification to answers.

Shapes: N texts, W windows of them, C labels.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from selfsup.tasks.encoded_texts import EncodedTexts
from selfsup.tasks.given_labels import spellings
from selfsup.tasks.labelled_texts import GivenLabel, LabelledTexts
from selfsup.tasks.labels import Labels
from selfsup.tasks.task import Prediction


def scores_of_texts(scores: np.ndarray, encoded: EncodedTexts) -> np.ndarray:
    """The mean over each text's windows: float32 [W, C] → [N, C]."""
    if len(scores) == len(encoded):
        return scores
    first = np.cumsum(encoded.window_counts) - encoded.window_counts
    return np.add.reduceat(scores, first, axis=0) / encoded.window_counts[:, None].astype(
        np.float32
    )


def decode(
    scores: np.ndarray, encoded: EncodedTexts, examples: LabelledTexts, labels: Labels
) -> list[Prediction]:
    """Scores, float [W, C], to answers.

    Returns:
        for each text, if it has one label: ``{"label", "probability", "probabilities": {label:
        probability}}``, the softmax of its scores. If several: ``{"labels", "probabilities"}``, the
        logistic function of each, and the labels above one half. If a number: ``{"value"}``.
    """
    scores = scores_of_texts(scores, encoded).astype(np.float64)
    if labels.kind == "number":
        return [{"value": float(score)} for score in scores[:, 0]]
    if labels.kind == "multi":
        return [
            {
                "labels": [name for name, p in zip(labels.names, row, strict=True) if p > 0.5],
                "probabilities": dict(zip(labels.names, map(float, row), strict=True)),
            }
            for row in logistic(scores)
        ]
    return [
        {
            "label": labels.names[place],
            "probability": float(row[place]),
            "probabilities": dict(zip(labels.names, map(float, row), strict=True)),
        }
        for place, row in zip(scores.argmax(axis=1), softmax(scores), strict=True)
    ]


def softmax(scores: np.ndarray) -> np.ndarray:
    """float64 [N, C] → probabilities [N, C]."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logistic(scores: np.ndarray) -> np.ndarray:
    """float64 → probabilities, by the hyperbolic tangent, which does not overflow."""
    return (1 + np.tanh(scores / 2)) / 2


def records(examples: LabelledTexts, predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """Lines of a predictions file, in the order of the examples.

    Where the right label is known it is ``label`` (``labels``, ``value``), and what was predicted
    is ``prediction``; the probabilities stand beside them.
    """
    for place, prediction in enumerate(predictions):
        record: dict[str, Any] = {"text": examples.first[place]}
        if examples.second is not None:
            record["text_pair"] = examples.second[place]
        if examples.labels is None:
            yield {**record, **prediction}
            continue
        label = examples.labels[place]
        name = next(key for key in ("label", "labels", "value") if key in prediction)
        given = float(str(label)) if name == "value" else as_named(label, prediction)
        record |= {name: given, "prediction": prediction[name]}
        if "probabilities" in prediction:
            record["probabilities"] = prediction["probabilities"]
        yield record


def as_named(given: GivenLabel, prediction: Prediction) -> GivenLabel:
    """A label of the file by the model's own name, as the prediction beside it has it."""
    if isinstance(given, tuple):
        return tuple(str(as_named(label, prediction)) for label in given)
    names = prediction["probabilities"]
    return next((form for form in spellings(given) if form in names), given)


def tally(predictions: Sequence[Prediction], labels: Labels) -> dict[str, Any]:
    """How often each label was predicted, or the mean and the range of the numbers."""
    if labels.kind == "number":
        values = [prediction["value"] for prediction in predictions]
        return {"values": {"mean": float(np.mean(values)), "min": min(values), "max": max(values)}}
    counts: Counter[str] = Counter()
    for prediction in predictions:
        counts.update(prediction["labels"] if labels.kind == "multi" else [prediction["label"]])
    return {"labels": {name: counts[name] for name in labels.names}}
