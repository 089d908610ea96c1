"""Classification scores of examples: the answers they give, and how good these are.

Shapes: N examples (texts, pairs or images), C labels.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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

from selfsup.tasks.base import EncodedT, ExamplesT, Prediction, Task
from selfsup.tasks.classification.label_names import label_number
from selfsup.tasks.labels import Labels
from selfsup.tasks.samples import f1_of_sample, spearman_of_sample

_SELECTION = {"class": "accuracy", "multi": "f1", "number": "spearman"}


class LabellingTask(Task[ExamplesT, EncodedT]):
    """A task that gives each example one label, several, or a number."""

    def selection_metric(self, labels: Labels) -> str:
        return _SELECTION[labels.kind]

    def baseline(self, encoded: Any, examples: ExamplesT, labels: Labels) -> dict[str, float]:
        """The metrics of one answer for all examples, without ``loss``.

        One label: the most frequent one. Several: the most frequent ones, as many as give the
        highest F1. Numbers: their mean.
        """
        found = self.metrics(self.constant_scores(encoded, labels), encoded, examples, labels)
        del found["loss"]
        return found

    def row_labels(self, encoded: Any) -> np.ndarray:
        return encoded.labels

    def constant_scores(self, encoded: Any, labels: Labels) -> np.ndarray:
        true = encoded.labels
        if labels.kind == "class":
            answer = np.bincount(true, minlength=len(labels))
        elif labels.kind == "multi":
            counts = true.sum(axis=0)
            order = np.argsort(-counts, kind="stable")
            predicted = np.arange(1, len(counts) + 1) * len(true)
            f1 = 2 * np.cumsum(counts[order]) / (predicted + counts.sum())
            answer = np.full(len(counts), -1.0)
            answer[order[: f1.argmax() + 1]] = 1.0
        else:
            answer = np.array([true.mean()])
        return np.tile(answer.astype(np.float32), (len(true), 1))

    def selection_of_sample(
        self, scores: np.ndarray, encoded: Any, examples: ExamplesT, labels: Labels
    ) -> Callable[[np.ndarray], float]:
        scores, true = _scores_of_examples(scores, encoded), encoded.labels
        if labels.kind == "number":
            return spearman_of_sample(scores[:, 0], true)
        if labels.kind == "class":
            right = scores.argmax(axis=1) == true
            return lambda indices: float(right[indices].mean())
        decisions, predicted = true > 0.5, scores > 0
        return f1_of_sample(
            (decisions & predicted).sum(axis=1), decisions.sum(axis=1), predicted.sum(axis=1)
        )

    def metrics(
        self, scores: np.ndarray, encoded: Any, examples: ExamplesT, labels: Labels
    ) -> dict[str, float]:
        """The metrics of scores, float [N, C].

        One label: ``accuracy``; ``f1``, the mean F1 of all labels that are true or predicted
        somewhere (macro), which does not depend on which of two labels is called positive;
        ``matthews_correlation``; ``loss``, the mean cross-entropy in nats. Several labels: ``f1``
        over all (example, label) decisions (micro); ``f1_macro`` over all labels;
        ``subset_accuracy`` (all labels of an example right); ``loss``, the mean binary
        cross-entropy. Numbers: ``spearman``, ``pearson`` (0 where all answers are the same),
        ``mean_squared_error``, which is also the ``loss``.
        """
        scores, true = _scores_of_examples(scores, encoded), encoded.labels
        if labels.kind == "number":
            return _metrics_of_numbers(scores[:, 0].astype(np.float64), true.astype(np.float64))
        logits, targets = torch.from_numpy(scores), torch.from_numpy(true)
        if labels.kind == "multi":
            decisions, predicted = _decisions(true > 0.5), _decisions(scores > 0)
            # The F1 of a label that is neither true nor predicted anywhere is 0.
            options: Any = {"labels": range(len(labels)), "zero_division": 0.0}
            loss = F.binary_cross_entropy_with_logits(logits, targets)
            return {
                "f1": float(f1_score(decisions, predicted, average="micro", **options)),
                "f1_macro": float(f1_score(decisions, predicted, average="macro", **options)),
                "subset_accuracy": float((predicted == decisions).all(axis=1).mean()),
                "loss": float(loss),
            }
        predicted = scores.argmax(axis=1)
        loss = F.cross_entropy(logits, targets)
        return {
            "accuracy": float(accuracy_score(true, predicted)),
            "f1": float(f1_score(true, predicted, average="macro")),
            "matthews_correlation": float(matthews_corrcoef(true, predicted)),
            "loss": float(loss),
        }

    def details(
        self, scores: np.ndarray, encoded: Any, examples: ExamplesT, labels: Labels
    ) -> dict[str, Any]:
        """Each label's precision, recall and F1; with one label an example, the confusion matrix.

        Returns:
            ``classes``: a list of ``{"label", "precision", "recall", "f1", "examples"}``;
            ``confusion``: ``{"labels", "matrix"}``, true labels in rows, predictions in columns.
            Nothing for numbers.
        """
        if labels.kind == "number":
            return {}
        scores, true = _scores_of_examples(scores, encoded), encoded.labels
        numbers = list(range(len(labels)))
        if labels.kind == "multi":
            true, predicted = _decisions(true > 0.5), _decisions(scores > 0)
        else:
            predicted = scores.argmax(axis=1)
        options: Any = {"labels": numbers, "zero_division": 0.0}
        columns: Any = precision_recall_fscore_support(true, predicted, **options)
        names = "label", "precision", "recall", "f1", "examples"
        classes = [
            dict(zip(names, row, strict=True))
            for row in zip(labels.names, *(column.tolist() for column in columns), strict=True)
        ]
        if labels.kind == "multi":
            return {"classes": classes}
        matrix = confusion_matrix(true, predicted, labels=numbers)
        return {
            "confusion": {"labels": list(labels.names), "matrix": matrix.tolist()},
            "classes": classes,
        }

    def decode(
        self, scores: np.ndarray, encoded: Any, examples: ExamplesT, labels: Labels
    ) -> Iterator[Prediction]:
        """Turn scores, float [N, C], into answers.

        Yields:
            for each example. One label: ``{"label", "probability", "probabilities": {label:
            probability}}``, the softmax of its scores. Several: ``{"labels", "probabilities"}``,
            the logistic function of each score, and the labels above one half. A number:
            ``{"value"}``.
        """
        scores = _scores_of_examples(scores, encoded).astype(np.float64)
        if labels.kind == "number":
            yield from ({"value": score} for score in scores[:, 0].tolist())
            return
        several = labels.kind == "multi"
        best = scores.argmax(axis=1)
        for index, row in zip(best, (logistic if several else softmax)(scores), strict=True):
            found = dict(zip(labels.names, row.tolist(), strict=True))
            if several:
                above = [name for name, probability in found.items() if probability > 0.5]
                yield {"labels": above, "probabilities": found}
            else:
                label = labels.names[index]
                yield {"label": label, "probability": found[label], "probabilities": found}

    def count_predictions(
        self, predictions: Iterable[Prediction], labels: Labels
    ) -> dict[str, Any]:
        """How often each label was predicted, or the mean and the range of the numbers."""
        if labels.kind == "number":
            count, total, least, most = 0, 0.0, math.inf, -math.inf
            for prediction in predictions:
                value = prediction["value"]
                count, total = count + 1, total + value
                least, most = min(least, value), max(most, value)
            return {"values": {"mean": total / count, "min": least, "max": most}}
        counts: Counter[str] = Counter()
        for prediction in predictions:
            counts.update(prediction["labels"] if labels.kind == "multi" else [prediction["label"]])
        return {"labels": {name: counts[name] for name in labels.names}}


def _scores_of_examples(scores: np.ndarray, encoded: Any) -> np.ndarray:
    """The mean over each example's windows: float32 [W, C] → [N, C]."""
    if len(scores) == len(encoded):
        return scores
    first = np.cumsum(encoded.window_counts) - encoded.window_counts
    return np.add.reduceat(scores, first, axis=0) / encoded.window_counts[:, None].astype(
        np.float32
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    """float64 [N, C] → probabilities [N, C]."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logistic(scores: np.ndarray) -> np.ndarray:
    """float64 → probabilities. The hyperbolic tangent does not overflow."""
    return (1 + np.tanh(scores / 2)) / 2


def as_named(label: str, prediction: Prediction) -> str:
    """A label of the file under the model's name for it, which the prediction shows."""
    names = tuple(prediction["probabilities"])
    number = label_number(label, names)
    return label if number is None else names[number]


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
