"""Exact match and F1 against cases worked out by hand, and a definition written another way."""

import json
import string
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.tasks.question_answering.files import read_squad
from selfsup.tasks.question_answering.squad_metrics import (
    normalized,
    question_scores,
    squad_metrics,
)

WORDS = st.sampled_from(
    ["the", "The", "a", "an", "cat", "Cat,", "sat", "on.", "mat", "-", "'s", ""]
)
TEXTS = st.lists(WORDS, max_size=6).map(" ".join) | st.text(max_size=12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Cat", "cat"),
        ("  a   cat\n and\tan owl ", "cat and owl"),
        ("U.S.A.", "usa"),  # punctuation goes before words are told apart
        ("the-cat", "thecat"),  # so this is one word, and holds no article
        ("theatre", "theatre"),
        ("“the” cat", "“ ” cat"),  # only ASCII punctuation goes
        ("$1,000.50!", "100050"),
        ("À LA carte", "à la carte"),
        ("", ""),
        ("The, a; AN.", ""),
        ("a\u00a0cat", "cat"),
        ("서울의 a 봄", "서울의 봄"),
        ("an_owl", "anowl"),
    ],
)
def test_what_counts_are_words_without_articles_and_punctuation(text, words):
    assert normalized(text) == words


@pytest.mark.parametrize(
    ("predicted", "answer", "score"),
    [
        ("the black cat", "black cat!", 1),
        ("black cat", "cat", Fraction(2, 3)),  # precision 1/2, recall 1
        ("cat cat dog", "cat dog dog", Fraction(2, 3)),  # two in common, of three and three
        ("cat", "dog", 0),
        ("a b c d", "d e f", Fraction(1, 3)),  # "a" is an article: 1 of 3 and 1 of 3
    ],
)
def test_f1_counts_each_word_as_often_as_it_occurs(predicted, answer, score):
    for rules in (True, False):
        _, f1 = question_scores(predicted, [answer], may_be_unanswerable=rules)
        assert f1 == pytest.approx(float(score))


def test_the_best_of_several_answers_counts_for_each_metric_on_its_own():
    # The first answer shares more words, the second shares them all but is not the same.
    assert question_scores("big red dog", ["red dog", "dog"], may_be_unanswerable=False) == (
        0.0,
        pytest.approx(0.8),
    )
    assert question_scores("dog", ["red dog", "the dog"], may_be_unanswerable=True) == (1.0, 1.0)


def test_no_answer_is_right_where_there_is_none_and_only_there():
    assert question_scores("", [], may_be_unanswerable=True) == (1.0, 1.0)
    assert question_scores("the", [], may_be_unanswerable=True) == (1.0, 1.0)
    assert question_scores("cat", [], may_be_unanswerable=True) == (0.0, 0.0)
    assert question_scores("", ["cat"], may_be_unanswerable=True) == (0.0, 0.0)


def test_answers_of_no_words_count_in_the_older_rules_alone():
    # SQuAD 1.1 compares them like any other: the same, but without a word in common.
    assert question_scores("a", ["The", "cat"], may_be_unanswerable=False) == (1.0, 0.0)
    assert question_scores("a", ["The", "cat"], may_be_unanswerable=True) == (0.0, 0.0)
    assert question_scores("a", ["The"], may_be_unanswerable=True) == (1.0, 1.0)


def test_the_parts_with_and_without_answers_are_measured_each():
    metrics = squad_metrics(
        ["cat", "red dog", "", "owl"], [["cat"], ["dog"], [], []], may_be_unanswerable=True
    )
    assert metrics == {
        "exact_match": 0.5,
        "f1": pytest.approx((1 + 2 / 3 + 1 + 0) / 4),
        "has_answer_exact_match": 0.5,
        "has_answer_f1": pytest.approx((1 + 2 / 3) / 2),
        "no_answer_exact_match": 0.5,
        "no_answer_f1": 0.5,
    }
    only = squad_metrics(["cat"], [["cat"]], may_be_unanswerable=True)
    assert only == {"exact_match": 1.0, "f1": 1.0}


def words_by_hand(text: str) -> list[str]:
    """The official steps one by one, on characters and words instead of patterns."""
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    words: list[str] = []
    word = ""
    for letter in kept + " ":  # an article is a run of letters, digits and _ that is just that
        if letter.isalnum() or letter == "_":
            word += letter
            continue
        words.append(" " if word in ("a", "an", "the") else word)
        words.append(letter)
        word = ""
    return "".join(words).split()


def f1_by_hand(predicted: list[str], answer: list[str]) -> float:
    if not predicted or not answer:
        return float(predicted == answer)
    left, common = list(answer), 0
    for word in predicted:
        if word in left:
            left.remove(word)
            common += 1
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(answer)
    return 2 * precision * recall / (precision + recall)


# Letters that combine with others are word characters to one definition and not to the other.
PLAIN = TEXTS.filter(lambda text: all(ord(letter) < 0x250 for letter in text))


@given(PLAIN, st.lists(PLAIN, max_size=3))
def test_any_answers_score_as_the_definition_says(predicted, answers):
    accepted = [words for words in map(words_by_hand, answers) if words] or [[]]
    given_words = words_by_hand(predicted)
    exact, overlap = question_scores(predicted, answers, may_be_unanswerable=True)
    assert exact == max(given_words == words for words in accepted)
    assert overlap == pytest.approx(max(f1_by_hand(given_words, words) for words in accepted))


@given(TEXTS, TEXTS)
def test_f1_is_symmetric_and_one_for_equal_words(one, other):
    exact, forth = question_scores(one, [other], may_be_unanswerable=True)
    assert forth == question_scores(other, [one], may_be_unanswerable=True)[1]
    assert 0 <= forth <= 1
    if exact:
        assert forth == 1


def test_perfect_answers_to_the_real_file_score_everything(shared_data):
    file = str(shared_data / "tasks" / "squad" / "dev-v2.0.json")
    questions = read_squad(file, labelled=True)
    assert questions.answers is not None
    accepted = [[answer.text for answer in listed] for listed in questions.answers]
    perfect = [texts[-1] if texts else "" for texts in accepted]
    metrics = squad_metrics(perfect, accepted, may_be_unanswerable=True)
    assert set(metrics.values()) == {1.0}
    assert len(metrics) == 6
    blank = squad_metrics([""] * len(accepted), accepted, may_be_unanswerable=True)
    assert blank["no_answer_f1"] == 1
    assert blank["has_answer_f1"] == 0
    assert blank["f1"] == pytest.approx(sum(not texts for texts in accepted) / len(accepted))
    assert json.dumps(metrics)
