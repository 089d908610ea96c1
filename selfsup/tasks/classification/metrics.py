"""Scores of text classification to answers.

Shapes: N texts, W windows of them, C labels.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)
from torch.nn import functional as F

from selfsup.tasks.base import Prediction
from selfsup.tasks.classification.data import GivenLabel, LabelledTexts
from selfsup.tasks.classification.encoding import EncodedTexts
from selfsup.tasks.given_labels import spellings
from selfsup.tasks.labels import Labels


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


# How good the scores of text classification are.
#
# Shapes: N texts, W windows of them, C labels.


_SELECTION = {"class": "accuracy", "multi": "f1", "number": "spearman"}


def selection_metric(labels: Labels) -> str:
    """The metric that the best epoch and seed are chosen by; more is better."""
    return _SELECTION[labels.kind]


def metrics(
    scores: np.ndarray, encoded: EncodedTexts, examples: LabelledTexts, labels: Labels
) -> dict[str, float]:
    """How good the scores are, float [W, C], against the labels of ``encoded``.

    One label a text: ``accuracy``; ``f1``, the mean of the F1 of every label that is given or
    predicted (macro), which does not depend on which of two labels is called positive;
    ``matthews_correlation``; ``loss``, the mean cross-entropy in nats. Several: ``f1`` over all
    (text, label) decisions (micro), ``f1_macro`` over all labels, ``subset_accuracy`` (all labels
    of a text right), ``loss``, the mean binary cross-entropy. Numbers: ``spearman``, ``pearson``
    (0 where all answers are the same), ``mean_squared_error``, which is also the ``loss``.
    """
    scores, given = scores_of_texts(scores, encoded), encoded.labels
    if labels.kind == "number":
        return _metrics_of_numbers(scores[:, 0].astype(np.float64), given.astype(np.float64))
    if labels.kind == "multi":
        right, predicted = _decisions(given > 0.5), _decisions(scores > 0)
        # What is said of a label that is neither given nor predicted is 0.
        how: Any = {"labels": range(len(labels)), "zero_division": 0.0}
        loss = F.binary_cross_entropy_with_logits(torch.from_numpy(scores), torch.from_numpy(given))
        return {
            "f1": float(f1_score(right, predicted, average="micro", **how)),
            "f1_macro": float(f1_score(right, predicted, average="macro", **how)),
            "subset_accuracy": float((predicted == right).all(axis=1).mean()),
            "loss": float(loss),
        }
    predicted = scores.argmax(axis=1)
    loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(given))
    return {
        "accuracy": float(accuracy_score(given, predicted)),
        "f1": float(f1_score(given, predicted, average="macro")),
        "matthews_correlation": float(matthews_corrcoef(given, predicted)),
        "loss": float(loss),
    }


def details(
    scores: np.ndarray, encoded: EncodedTexts, examples: LabelledTexts, labels: Labels
) -> dict[str, Any]:
    """Each label's precision, recall and F1; of single labels also which was taken for which.

    Returns:
        ``classes``: a list of ``{"label", "precision", "recall", "f1", "examples"}``;
        ``confusion``: ``{"labels", "matrix"}``, right labels in rows, answers in columns. Nothing
        for numbers.
    """
    if labels.kind == "number":
        return {}
    scores, given = scores_of_texts(scores, encoded), encoded.labels
    places = list(range(len(labels)))
    if labels.kind == "multi":
        right, predicted = _decisions(given > 0.5), _decisions(scores > 0)
    else:
        right, predicted = given, scores.argmax(axis=1)
    zero: Any = 0.0
    columns: Any = precision_recall_fscore_support(
        right, predicted, labels=places, zero_division=zero
    )
    classes = [
        {
            "label": name,
            "precision": float(p),
            "recall": float(r),
            "f1": float(f),
            "examples": int(n),
        }
        for name, p, r, f, n in zip(labels.names, *columns, strict=True)
    ]
    if labels.kind == "multi":
        return {"classes": classes}
    matrix = confusion_matrix(right, predicted, labels=places)
    return {
        "confusion": {"labels": list(labels.names), "matrix": matrix.tolist()},
        "classes": classes,
    }


def chance(encoded: EncodedTexts, examples: LabelledTexts, labels: Labels) -> float:
    """The selection metric of the best answer that is the same for every text.

    The accuracy of always saying the most frequent label; the F1 of saying the most frequent labels
    for every text, as many as serve it best; of numbers, a correlation of 0.
    """
    if labels.kind == "number":
        return 0.0
    if labels.kind == "class":
        return float(np.bincount(encoded.labels).max() / len(encoded))
    frequencies = np.sort(encoded.labels.sum(axis=0))[::-1]
    said = np.arange(1, len(frequencies) + 1) * len(encoded)
    return float((2 * np.cumsum(frequencies) / (said + frequencies.sum())).max())


def _decisions(said: np.ndarray) -> np.ndarray:
    """Bool [N, C]; of one column, which scikit-learn takes for two classes, with an empty one."""
    return said if said.shape[1] > 1 else np.pad(said, ((0, 0), (0, 1)))


def _metrics_of_numbers(values: np.ndarray, given: np.ndarray) -> dict[str, float]:
    from scipy.stats import pearsonr, spearmanr

    error = float(np.mean((values - given) ** 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant has no correlation: 0 below
        spearman, pearson = (
            cast(Any, correlate(values, given))[0] if len(given) > 1 else 0.0
            for correlate in (spearmanr, pearsonr)
        )
    return {
        "spearman": float(np.nan_to_num(float(spearman))),
        "pearson": float(np.nan_to_num(float(pearson))),
        "mean_squared_error": error,
        "loss": error,
    }
