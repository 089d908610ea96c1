"""Exact match and F1 as SQuAD defines them (Rajpurkar et al. 2016, §6.1; 2018 for no answers).

Both compare words: in lower case, without punctuation, without the articles a, an, the.
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


def exact_match(predicted: str, answer: str) -> float:
    """1 where both come to the same words, else 0."""
    return float(normalized(predicted) == normalized(answer))


def f1(predicted: str, answer: str, *, may_be_unanswerable: bool) -> float:
    """The harmonic mean of precision and recall over words, each counted as often as it occurs.

    Where one of the two holds no words, it is 1 if neither does; under SQuAD 1.1's rules, which
    know no empty answers, it is 0.
    """
    return _f1(normalized(predicted).split(), normalized(answer).split(), may_be_unanswerable)


def question_scores(
    predicted: str | None, answers: Sequence[str], *, may_be_unanswerable: bool
) -> tuple[float, float]:
    """Exact match and F1 of one question, each the best over its answers.

    Args:
        predicted: the answer given; "" for none. None where nothing was said, which is wrong.
        answers: those accepted. None at all means that "" is the right one.
        may_be_unanswerable: SQuAD 2.0's rules: answers of no words do not count, and "" may be
            right. Otherwise those of 1.1.
    """
    if predicted is None:
        return 0.0, 0.0
    accepted = [normalized(answer) for answer in answers]
    if may_be_unanswerable:
        accepted = [answer for answer in accepted if answer]
    accepted = accepted or [""]
    given = normalized(predicted)
    words = given.split()
    return (
        float(given in accepted),
        max(_f1(words, answer.split(), may_be_unanswerable) for answer in accepted),
    )


def squad_metrics(
    predicted: Sequence[str | None],
    answers: Sequence[Sequence[str]],
    *,
    may_be_unanswerable: bool,
) -> dict[str, float]:
    """The means over N questions, as shares (SQuAD's own script writes them times a hundred).

    Args:
        predicted: the answer given to each question, as in ``question_scores``.
        answers: those accepted for each; an empty sequence where the context holds none.
        may_be_unanswerable: whether the questions are scored by SQuAD 2.0's rules.

    Returns:
        ``exact_match`` and ``f1``; where there are questions with and without an answer, also of
        each kind: ``has_answer_exact_match``, ``no_answer_f1`` and so on.
    """
    scores = [
        question_scores(given, accepted, may_be_unanswerable=may_be_unanswerable)
        for given, accepted in zip(predicted, answers, strict=True)
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
    if not predicted or not answer:
        return float(may_be_unanswerable and predicted == answer)
    common = sum((Counter(predicted) & Counter(answer)).values())
    # Twice the common words over all words: the harmonic mean without its divisions by zero.
    return 2 * common / (len(predicted) + len(answer))
