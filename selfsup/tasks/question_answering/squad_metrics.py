"""Exact match and F1 as SQuAD defines them (Rajpurkar et al. 2016, §6.1; 2018 for no answers).

Both compare words in lower case, without punctuation and without the articles a, an, the.
This module needs no torch: the report uses it, too.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalized(text: str) -> str:
    """The words that count: lower case, no ASCII punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def question_scores(
    predicted: str | None, answers: Sequence[str], *, may_be_unanswerable: bool
) -> tuple[float, float]:
    """Exact match and F1 of one question: the best values over its accepted answers.

    Args:
        predicted: the prediction; "" for no answer. None if there is no prediction, which is wrong.
        answers: those accepted. If there are none, "" is right.
        may_be_unanswerable: whether SQuAD 2.0's rules hold: answers without words do not count,
            and "" may be right. Otherwise those of 1.1.
    """
    if predicted is None:
        return 0.0, 0.0
    accepted = [normalized(answer) for answer in answers]
    if may_be_unanswerable:
        accepted = [answer for answer in accepted if answer]
    accepted = accepted or [""]
    text = normalized(predicted)
    words = text.split()
    return (
        float(text in accepted),
        max(_f1(words, answer.split(), may_be_unanswerable) for answer in accepted),
    )


def squad_metrics(
    predicted: Sequence[str | None],
    answers: Sequence[Sequence[str]],
    *,
    may_be_unanswerable: bool,
) -> dict[str, float]:
    """The means over N questions, as shares (SQuAD's own script multiplies them by 100).

    Args:
        predicted: the prediction for each question, as in ``question_scores``.
        answers: those accepted for each; an empty sequence if the context has none.
        may_be_unanswerable: whether SQuAD 2.0's rules hold.

    Returns:
        ``exact_match`` and ``f1``; if some questions have an answer and some have none, also for
        each kind: ``has_answer_exact_match``, ``no_answer_f1`` and so on.
    """
    scores = [
        question_scores(text, accepted, may_be_unanswerable=may_be_unanswerable)
        for text, accepted in zip(predicted, answers, strict=True)
    ]
    result = _means(scores, "")
    answerable = [bool(accepted) for accepted in answers]
    if any(answerable) and not all(answerable):
        for has_answer, prefix in ((True, "has_answer_"), (False, "no_answer_")):
            part = [
                score for score, has in zip(scores, answerable, strict=True) if has == has_answer
            ]
            result |= _means(part, prefix)
    return result


def _means(scores: list[tuple[float, float]], prefix: str) -> dict[str, float]:
    exact, overlap = zip(*scores, strict=True)
    return {
        f"{prefix}exact_match": sum(exact) / len(scores),
        f"{prefix}f1": sum(overlap) / len(scores),
    }


def _f1(predicted: list[str], answer: list[str], may_be_unanswerable: bool) -> float:
    """The harmonic mean of precision and recall over words, each counted as often as it occurs.

    If one of the two has no words, it is 1 if neither has; under SQuAD 1.1's rules, which have no
    empty answers, it is 0.
    """
    if not predicted or not answer:
        return float(may_be_unanswerable and predicted == answer)
    common = sum((Counter(predicted) & Counter(answer)).values())
    # Twice the common words over all words is the harmonic mean, without divisions by zero.
    return 2 * common / (len(predicted) + len(answer))
