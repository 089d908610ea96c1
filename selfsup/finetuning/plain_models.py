"""Linear models of words, characters or pixels: what can be learned without an encoder.

They are fitted to the training examples in a few seconds, and score the validation examples. One
label: multinomial logistic regression. Several labels: one logistic regression a label. Numbers:
ridge regression.

Shapes: M entries, R rows of scores, F features, C labels.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from selfsup.counter_random import permutation
from selfsup.tasks.plain_inputs import PlainInputs

_SAMPLE, _CHOICE, _FOLDS = 0x53414D50, 0x43484F49, 0x464F4C44
# What keeps the time in seconds, whatever the data: at most so many rows and characters to fit, and
# so many weights of the features that are most frequent.
_MOST_ROWS, _MOST_CHARACTERS, _MOST_WEIGHTS, _MOST_FEATURES = 20_000, 2_000_000, 1_000_000, 100_000
# The ridge is chosen in cross-validation on at most this many entries.
_MOST_TO_CHOOSE, _FOLD_COUNT = 1000, 3
_MOST_STEPS, _TOLERANCE = 100, 1e-3
# A label that no fitted example has gets a score so much below the lowest.
_BELOW = 10.0

# From entries to features [R, F], sparse or dense, as learned from the training entries.
Extract = Callable[[PlainInputs], Any]


@dataclass(frozen=True)
class PlainModel:
    """A kind of linear model.

    Attributes:
        name: for tables.
        learn: learns features from training entries, at most so many.
        strengths: values of scikit-learn's C to choose from.
    """

    name: str
    learn: Callable[[PlainInputs, int], Extract]
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class PlainScores:
    """What a model without an encoder makes of the validation examples.

    Attributes:
        name: of the model, and of how many examples it is if it was not fitted to all of them.
        scores: float32 [R, C].
    """

    name: str
    scores: np.ndarray


def score_plainly(
    train: PlainInputs, validation: PlainInputs, outputs: int
) -> Iterator[PlainScores]:
    """Fit each model for these inputs to training entries, and score validation entries.

    Args:
        train, validation: of one kind.
        outputs: C.
    """
    for model in _MODELS[train.kind]:
        part = _bounded(train)
        extract = model.learn(part, min(_MOST_FEATURES, max(1, _MOST_WEIGHTS // outputs)))
        x = extract(part)
        strength = _best_strength(model, part, x, outputs)
        predict = _fit(x, part.labels, outputs, strength)
        fewer = "" if len(part) == len(train) else f", of {len(part):,} examples"
        yield PlainScores(model.name + fewer, predict(extract(validation)).astype(np.float32))


def _bounded(inputs: PlainInputs) -> PlainInputs:
    """As many entries, drawn at random, as are within the bounds."""
    order = permutation(len(inputs), 0, _SAMPLE)
    rows = np.cumsum(inputs.row_counts[order])
    within = rows <= _MOST_ROWS
    if inputs.kind == "texts":
        lengths = np.array([sum(map(len, entry)) for entry in inputs.entries])
        within &= np.cumsum(lengths[order]) <= _MOST_CHARACTERS
    within[:1] = True
    return inputs if within.all() else inputs.at(np.sort(order[within]))


def _best_strength(model: PlainModel, part: PlainInputs, x: Any, outputs: int) -> float:
    """The strength whose loss is the lowest on entries that were not fitted."""
    entries = np.repeat(np.arange(len(part)), part.row_counts)
    chosen = permutation(len(part), 0, _CHOICE)[:_MOST_TO_CHOOSE]
    if len(chosen) < _FOLD_COUNT:
        return model.strengths[0]
    folds = np.full(len(part), -1)
    folds[chosen] = np.arange(len(chosen)) % _FOLD_COUNT
    of_row = folds[entries]
    losses = np.zeros(len(model.strengths))
    for fold in range(_FOLD_COUNT):
        inside, outside = (of_row >= 0) & (of_row != fold), of_row == fold
        true = part.labels[outside]
        for number, strength in enumerate(model.strengths):
            predict = _fit(x[inside], part.labels[inside], outputs, strength)
            losses[number] += _loss(predict(x[outside]), true)
    return model.strengths[int(losses.argmin())]


def _fit(x: Any, labels: np.ndarray, outputs: int, strength: float) -> Callable[[Any], np.ndarray]:
    """A function from features [R, F] to scores [R, C]."""
    if labels.dtype == np.int64:
        return _classes(x, labels, outputs, strength)
    if labels.ndim == 1:
        mean = labels.mean(dtype=np.float64)
        spread = float(labels.std(dtype=np.float64)) or 1.0
        ridge = Ridge(1 / strength).fit(x, (labels - mean) / spread)
        return lambda features: (ridge.predict(features) * spread + mean)[:, None]
    each = [_classes(x, (column > 0.5).astype(np.int64), 2, strength) for column in labels.T]

    def of_several(features: Any) -> np.ndarray:
        scores = [scores_of(features) for scores_of in each]
        return np.stack([found[:, 1] - found[:, 0] for found in scores], axis=1)

    return of_several


def _classes(
    x: Any, labels: np.ndarray, outputs: int, strength: float
) -> Callable[[Any], np.ndarray]:
    present = np.unique(labels)
    if len(present) == 1:
        constant = np.full(outputs, -_BELOW)
        constant[present] = 0.0
        return lambda features: np.tile(constant, (features.shape[0], 1))
    model = LogisticRegression(C=strength, max_iter=_MOST_STEPS, tol=_TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough to its end
        model.fit(x, labels)

    def of_classes(features: Any) -> np.ndarray:
        found = model.decision_function(features)
        if found.ndim == 1:
            found = np.stack([np.zeros_like(found), found], axis=1)
        scores = np.repeat(found.min(axis=1, keepdims=True) - _BELOW, outputs, axis=1)
        scores[:, present] = found
        return scores

    return of_classes


def _loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """The sum of the losses: cross-entropies in nats, or squared errors."""
    if labels.dtype == np.int64:
        largest = scores.max(axis=1)
        logs = largest + np.log(np.exp(scores - largest[:, None]).sum(axis=1))
        return float((logs - scores[np.arange(len(labels)), labels]).sum())
    if labels.ndim == 1:
        return float(np.square(scores[:, 0] - labels).sum())
    return float(np.logaddexp(0, np.where(labels > 0.5, -scores, scores)).sum())


# --- Features


def _learn_bag(analyzer: str, longest: int) -> Callable[[PlainInputs, int], Extract]:
    def learn(train: PlainInputs, most: int) -> Extract:
        parts = len(train.entries[0])
        pattern: Any = r"(?u)\b\w+\b" if analyzer == "word" else None
        vectorizer: Any = TfidfVectorizer(
            analyzer=analyzer, ngram_range=(1, longest), sublinear_tf=True,
            max_features=max(1, most // parts), token_pattern=pattern,
        )  # fmt: skip
        try:
            vectorizer.fit([text for entry in train.entries for text in entry])
        except ValueError:  # no text holds a word
            return lambda inputs: np.zeros((len(inputs), 1))

        def extract(inputs: PlainInputs) -> Any:
            columns = [
                vectorizer.transform([entry[part] for entry in inputs.entries])
                for part in range(parts)
            ]
            return hstack(columns, format="csr")

        return extract

    return learn


def _learn_windows(train: PlainInputs, most: int) -> Extract:
    analyzer: Any = _unchanged
    vectorizer = CountVectorizer(analyzer=analyzer, max_features=most, binary=True)
    vectorizer.fit(_windows(train))
    return lambda inputs: vectorizer.transform(_windows(inputs)).astype(np.float64)


def _unchanged(features: list[str]) -> list[str]:
    return features


def _windows(inputs: PlainInputs) -> Iterator[list[str]]:
    """For each word: itself, its beginning, its end, its shape, and its neighbours."""
    for words in inputs.entries:
        folded = ["", "", *(word.casefold() for word in words), "", ""]
        for place, word in enumerate(words):
            own = folded[place + 2]
            features = [f"{n}={folded[place + 2 + n]}" for n in (-2, -1, 0, 1, 2)]
            features += [f"begins {own[:n]}" for n in (1, 2, 3)]
            features += [f"ends {own[-n:]}" for n in (1, 2, 3)]
            features.append(f"shape {_shape(word)}")
            features.append(f"before {_shape(words[place - 1]) if place else ''}")
            yield features


def _shape(word: str) -> str:
    """Capital letters, other letters and digits as X, x and 0; runs are written once."""
    shape = ""
    for character in word:
        kind = character
        if character.isalpha():
            kind = "X" if character.isupper() else "x"
        elif character.isdigit():
            kind = "0"
        if not shape.endswith(kind):
            shape += kind
    return shape


def _learn_pixels(train: PlainInputs, most: int) -> Extract:
    scaler = StandardScaler().fit(np.asarray(train.entries))
    return lambda inputs: scaler.transform(np.asarray(inputs.entries))


_OF_TEXTS = (0.3, 3.0, 30.0)
_MODELS = {
    "texts": (
        PlainModel("bag of words", _learn_bag("word", 1), _OF_TEXTS),
        PlainModel("bag of characters (1–4)", _learn_bag("char", 4), _OF_TEXTS),
    ),
    "words": (PlainModel("word windows", _learn_windows, (0.1, 1.0, 10.0)),),
    "pixels": (PlainModel("raw pixels", _learn_pixels, (1e-4, 1e-3, 1e-2)),),
}
