"""Classification scores of examples: the answers they give, and how good these are.

Shapes: N examples (texts, pairs or images), C labels.
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
from selfsup.tasks.classification.data import LabelledTexts, RawLabel
from selfsup.tasks.classification.raw_labels import spellings
from selfsup.tasks.labels import Labels


def decode(scores: np.ndarray, labels: Labels) -> list[Prediction]:
    """Turn scores, float [N, C], into answers.

    Returns:
        for each example. One label: ``{"label", "probability", "probabilities": {label:
        probability}}``, the softmax of its scores. Several labels: ``{"labels", "probabilities"}``,
        the logistic function of each score, and the labels above one half. A number: ``{"value"}``.
    """
    scores = scores.astype(np.float64)
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
            "label": labels.names[index],
            "probability": float(row[index]),
            "probabilities": dict(zip(labels.names, map(float, row), strict=True)),
        }
        for index, row in zip(scores.argmax(axis=1), softmax(scores), strict=True)
    ]


def softmax(scores: np.ndarray) -> np.ndarray:
    """float64 [N, C] → probabilities [N, C]."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logistic(scores: np.ndarray) -> np.ndarray:
    """float64 → probabilities. The hyperbolic tangent does not overflow."""
    return (1 + np.tanh(scores / 2)) / 2


def records(examples: LabelledTexts, predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """Lines of a predictions file, in the order of the examples.

    With a known label, the line has it as ``label`` (``labels``, ``value``), and the prediction as
    ``prediction``, besides the probabilities.
    """
    for index, prediction in enumerate(predictions):
        record: dict[str, Any] = {"text": examples.first[index]}
        if examples.second is not None:
            record["text_pair"] = examples.second[index]
        if examples.labels is None:
            yield {**record, **prediction}
            continue
        label = examples.labels[index]
        name = next(key for key in ("label", "labels", "value") if key in prediction)
        true = float(str(label)) if name == "value" else as_named(label, prediction)
        record |= {name: true, "prediction": prediction[name]}
        if "probabilities" in prediction:
            record["probabilities"] = prediction["probabilities"]
        yield record


def as_named(label: RawLabel, prediction: Prediction) -> RawLabel:
    """A label of the file under the model's name for it, which the prediction shows."""
    if isinstance(label, tuple):
        return tuple(str(as_named(one, prediction)) for one in label)
    names = prediction["probabilities"]
    return next((spelling for spelling in spellings(label) if spelling in names), label)


def count_predictions(predictions: Sequence[Prediction], labels: Labels) -> dict[str, Any]:
    """How often each label was predicted, or the mean and the range of the numbers."""
    if labels.kind == "number":
        values = [prediction["value"] for prediction in predictions]
        return {"values": {"mean": float(np.mean(values)), "min": min(values), "max": max(values)}}
    counts: Counter[str] = Counter()
    for prediction in predictions:
        counts.update(prediction["labels"] if labels.kind == "multi" else [prediction["label"]])
    return {"labels": {name: counts[name] for name in labels.names}}


_SELECTION = {"class": "accuracy", "multi": "f1", "number": "spearman"}


def selection_metric(labels: Labels) -> str:
    """The metric that selects the best epoch and seed; higher is better."""
    return _SELECTION[labels.kind]


def measure(scores: np.ndarray, true: np.ndarray, labels: Labels) -> dict[str, float]:
    """The metrics of scores, float [N, C].

    One label: ``accuracy``; ``f1``, the mean F1 of all labels that are true or predicted somewhere
    (macro), which does not depend on which of two labels is called positive;
    ``matthews_correlation``; ``loss``, the mean cross-entropy in nats. Several labels: ``f1`` over
    all (example, label) decisions (micro); ``f1_macro`` over all labels; ``subset_accuracy`` (all
    labels of an example right); ``loss``, the mean binary cross-entropy. Numbers: ``spearman``,
    ``pearson`` (0 where all answers are the same), ``mean_squared_error``, which is also the
    ``loss``.

    Args:
        scores: of the model.
        true: as ``raw_labels.encode_labels`` gives them.
        labels: of the model.
    """
    if labels.kind == "number":
        return _metrics_of_numbers(scores[:, 0].astype(np.float64), true.astype(np.float64))
    if labels.kind == "multi":
        decisions, predicted = _decisions(true > 0.5), _decisions(scores > 0)
        # The F1 of a label that is neither true nor predicted anywhere is 0.
        options: Any = {"labels": range(len(labels)), "zero_division": 0.0}
        loss = F.binary_cross_entropy_with_logits(torch.from_numpy(scores), torch.from_numpy(true))
        return {
            "f1": float(f1_score(decisions, predicted, average="micro", **options)),
            "f1_macro": float(f1_score(decisions, predicted, average="macro", **options)),
            "subset_accuracy": float((predicted == decisions).all(axis=1).mean()),
            "loss": float(loss),
        }
    predicted = scores.argmax(axis=1)
    loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(true))
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "f1": float(f1_score(true, predicted, average="macro")),
        "matthews_correlation": float(matthews_corrcoef(true, predicted)),
        "loss": float(loss),
    }


def details(scores: np.ndarray, true: np.ndarray, labels: Labels) -> dict[str, Any]:
    """Each label's precision, recall and F1; with one label an example, the confusion matrix.

    Args:
        scores, true, labels: as for ``measure``.

    Returns:
        ``classes``: a list of ``{"label", "precision", "recall", "f1", "examples"}``;
        ``confusion``: ``{"labels", "matrix"}``, true labels in rows, predictions in columns.
        Nothing for numbers.
    """
    if labels.kind == "number":
        return {}
    numbers = list(range(len(labels)))
    if labels.kind == "multi":
        true, predicted = _decisions(true > 0.5), _decisions(scores > 0)
    else:
        predicted = scores.argmax(axis=1)
    zero: Any = 0.0
    columns: Any = precision_recall_fscore_support(
        true, predicted, labels=numbers, zero_division=zero
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
    matrix = confusion_matrix(true, predicted, labels=numbers)
    return {
        "confusion": {"labels": list(labels.names), "matrix": matrix.tolist()},
        "classes": classes,
    }


def chance(true: np.ndarray, labels: Labels) -> float:
    """The selection metric of the best answer that is the same for every example.

    One label: the accuracy of the most frequent one. Several: the best F1 of predicting the most
    frequent labels for every example. Numbers: a correlation of 0.
    """
    if labels.kind == "number":
        return 0.0
    if labels.kind == "class":
        return float(np.bincount(true).max() / len(true))
    frequencies = np.sort(true.sum(axis=0))[::-1]
    predicted = np.arange(1, len(frequencies) + 1) * len(true)
    return float((2 * np.cumsum(frequencies) / (predicted + frequencies.sum())).max())


def _decisions(labels: np.ndarray) -> np.ndarray:
    """Bool [N, C]; a single column gets an empty second one, else scikit-learn sees two classes."""
    return labels if labels.shape[1] > 1 else np.pad(labels, ((0, 0), (0, 1)))


def _metrics_of_numbers(values: np.ndarray, true: np.ndarray) -> dict[str, float]:
    from scipy.stats import pearsonr, spearmanr

    error = float(np.mean((values - true) ** 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant has no correlation; it becomes 0 below
        spearman, pearson = (
            cast(Any, correlate(values, true))[0] if len(true) > 1 else 0.0
            for correlate in (spearmanr, pearsonr)
        )
    return {
        "spearman": float(np.nan_to_num(float(spearman))),
        "pearson": float(np.nan_to_num(float(pearson))),
        "mean_squared_error": error,
        "loss": error,
    }
