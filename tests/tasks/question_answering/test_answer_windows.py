"""Windows of long contexts, their labels, and where their tokens stand in the text."""

import unicodedata
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer

from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.tasks.question_answering.data import Answer, Questions
from selfsup.tasks.question_answering.windows import AnswerWindows, answer_windows
from tests.toy_tasks import OTHER, VOCABULARY, toy_tokenizer

WORDS = st.sampled_from(["the", "film", "plots", "Was", "fine", ",", "zzz"])
CLS, SEP = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")


def ask(question: str, context: str, *answers: Answer, labelled: bool = True) -> Questions:
    listed = [tuple(answers)] if labelled else None
    return Questions("f", ["1"], [question], [context], np.zeros(1, np.int64), listed, False)


def windows_of(questions: Questions, max_length: int = 16, doc_stride: int = 4) -> AnswerWindows:
    return answer_windows(toy_tokenizer(), questions, max_length, doc_stride)


def tokens_of(windows: AnswerWindows) -> list[list[str]]:
    ids = np.split(windows.input_ids, np.cumsum(windows.lengths)[:-1])
    return [[VOCABULARY[place] for place in part] for part in ids]


def text_of(windows: AnswerWindows, window: int, context: str) -> str:
    """The characters that a window's label points at."""
    first, last = windows.labels[window] - windows.context_positions[window]
    offsets = windows.contexts.offsets[windows.first_tokens[window] :]
    return context[offsets[first, 0] : offsets[last, 1]]


def test_a_short_context_is_one_window_as_bert_has_it():
    windows = windows_of(ask("Was the film fine", "The plot was dull", Answer("plot was", 4)))
    (tokens,) = tokens_of(windows)
    assert " ".join(tokens) == "[CLS] was the film fine [SEP] the plot was dull [SEP]"
    assert windows.token_type_ids.tolist() == [0] * 6 + [1] * 5
    assert windows.labels.tolist() == [[7, 8]]
    assert windows.context_positions.tolist() == [6]


@pytest.mark.parametrize(
    ("context", "answers"),
    [
        ("수도는 서울이다. 강은 한강이다", ("서울이다", "강은 한강이다", "수도는", "한강이다")),
        ("Zoë drank café crème, naïve", ("café", "Zoë", "crème, naïve", "naïve")),
        ("がっこうで ごはん", ("がっこうで", "ごはん")),
    ],
)
def test_answers_of_a_decomposed_context_are_whole_characters(context, answers):
    context = unicodedata.normalize("NFD", context)
    tokenizer = train_tokenizer([context], vocab_size=90, min_frequency=1, allow_fewer=True)
    for answer in map(partial(unicodedata.normalize, "NFD"), answers):
        questions = ask("?", context, Answer(answer, context.index(answer)))
        windows = answer_windows(tokenizer, questions, 64, 4)
        assert text_of(windows, 0, context) == answer
        composed = [unicodedata.normalize("NFC", text) for text in (context, answer)]
        of_composed = ask("?", composed[0], Answer(composed[1], composed[0].index(composed[1])))
        peer = answer_windows(tokenizer, of_composed, 64, 4)
        assert peer.input_ids.tolist() == windows.input_ids.tolist()
        assert peer.labels.tolist() == windows.labels.tolist()


def test_windows_share_a_stride_and_the_last_one_ends_with_the_context():
    context = " ".join(OTHER[place % 8] for place in range(20))
    windows = windows_of(ask("film", context), max_length=12, doc_stride=3)
    assert (windows.first_tokens.tolist(), windows.context_lengths.tolist()) == (
        [0, 5, 10, 12],
        [8, 8, 8, 8],
    )
    assert all(tokens[:3] == ["[CLS]", "film", "[SEP]"] for tokens in tokens_of(windows))


@given(
    st.lists(WORDS, min_size=1, max_size=3).map(" ".join),
    st.lists(WORDS, min_size=1, max_size=40).map(" ".join),
    st.integers(16, 24),
    st.integers(0, 30),
)
def test_windows_are_those_of_transformers(question, context, max_length, doc_stride):
    windows = windows_of(ask(question, context), max_length, doc_stride)
    peer = BertTokenizer(vocab={token: place for place, token in enumerate(VOCABULARY)})
    room = max_length - int(windows.context_positions[0]) - 1
    theirs = peer(
        question, context, truncation="only_second", max_length=max_length,
        stride=min(doc_stride, room // 2),
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    ids = np.split(windows.input_ids, np.cumsum(windows.lengths)[:-1])
    types = np.split(windows.token_type_ids, np.cumsum(windows.lengths)[:-1])
    assert len(ids) == len(theirs["input_ids"])
    for window, (their_ids, their_types, offsets) in enumerate(
        zip(theirs["input_ids"], theirs["token_type_ids"], theirs["offset_mapping"], strict=True)
    ):
        first, length = windows.first_tokens[window], windows.context_lengths[window]
        place = windows.context_positions[window]
        in_context = list(map(tuple, windows.contexts.offsets[first : first + length].tolist()))
        if window and window == len(ids) - 1:  # Theirs is shorter; ours begins earlier.
            assert ids[window].tolist()[-len(their_ids) + place :] == their_ids[place:]
            assert in_context[-1] == offsets[-2]
            assert len(ids[window]) == max_length
        else:
            assert ids[window].tolist() == their_ids
            assert types[window].tolist() == their_types
            assert in_context == offsets[place : place + length]


@given(st.data())
def test_a_window_that_holds_the_answer_points_at_it_and_any_other_at_cls(data):
    words = data.draw(st.lists(WORDS, min_size=1, max_size=30))
    context = " ".join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(first + 3, len(words) - 1)))
    start = len(" ".join(words[:first])) + (first > 0)
    answer = Answer(" ".join(words[first : last + 1]), start)
    assert context.startswith(answer.text, start)
    overlap = 3
    windows = windows_of(ask("film", context, answer), max_length=14, doc_stride=overlap)
    begins, ends = windows.contexts.offsets.T
    pieces = ((begins >= start) & (ends <= start + len(answer.text))).sum()
    held = 0
    for window in range(len(windows)):
        offsets = windows.contexts.offsets[windows.first_tokens[window] :]
        offsets = offsets[: windows.context_lengths[window]]
        whole = offsets[0, 0] <= start and offsets[-1, 1] >= start + len(answer.text)
        held += bool(whole)
        if whole:
            assert text_of(windows, window, context) == answer.text
        else:
            assert windows.labels[window].tolist() == [0, 0]
    # A longer answer may lie across the border of every window.
    assert held >= 1 or pieces > overlap


def test_the_answer_listed_most_often_is_learned_and_the_first_among_equals():
    answers = [Answer("The", 0), Answer("plot", 4), Answer("plot", 4)]
    context = "The plot was dull"
    assert text_of(windows_of(ask("film", context, *answers)), 0, context) == "plot"
    assert text_of(windows_of(ask("film", context, *answers[:2])), 0, context) == "The"


def test_an_answer_inside_a_word_is_widened_to_its_tokens_and_blanks_are_left_out():
    context = "The plots was dull"
    assert text_of(windows_of(ask("film", context, Answer("lots ", 5))), 0, context) == "plots"
    assert text_of(windows_of(ask("film", context, Answer(" plot", 3))), 0, context) == "plot"


def test_no_answer_is_cls_and_an_unknown_one_is_nothing():
    assert windows_of(ask("film", "The plot")).labels.tolist() == [[0, 0]]
    assert windows_of(ask("film", "The plot", labelled=False)).labels.tolist() == [[-100, -100]]
    # A soft hyphen alone is no token.
    assert windows_of(ask("film", "\xad the", Answer("\xad", 0))).labels.tolist() == [[-100, -100]]


@pytest.mark.parametrize("context", ["", " \n ", "\xad"])
def test_a_context_of_nothing_is_one_window_of_no_tokens(context):
    windows = windows_of(ask("film", context))
    assert tokens_of(windows) == [["[CLS]", "film", "[SEP]", "[SEP]"]]
    assert windows.context_lengths.tolist() == [0]


def test_a_long_question_loses_its_end_and_leaves_room_for_the_context():
    windows = windows_of(ask("film " * 100, "The plot"), max_length=200)
    assert (windows.context_positions.tolist(), windows.truncated) == ([66], 1)
    windows = windows_of(ask("film " * 100, "The plot " * 10), max_length=8)
    assert (windows.context_positions.tolist()[0], windows.lengths.max()) == (4, 8)
    assert windows_of(ask("film", "The plot")).truncated == 0


def test_contexts_are_tokenized_once_and_batches_take_any_windows_in_any_order():
    texts = ["the film " * 9, "a plot"]
    questions = Questions(
        "f", ["1", "2", "3"], ["film", "was", "plot"], texts, np.array([0, 1, 0]),
        [(Answer("film", 4),), (), (Answer("the", 0),)], True,
    )  # fmt: skip
    windows = windows_of(questions, doc_stride=3)
    assert len(windows.contexts.input_ids) == 20
    assert windows.question_of.tolist() == [0, 0, 1, 2, 2]
    batch = windows.batch(np.array([3, 2]))
    ids = batch.input_ids.split(batch.packing.cu_seqlens.diff().tolist())
    assert ids[1].tolist() == [CLS, VOCABULARY.index("was"), SEP,
                               VOCABULARY.index("a"), VOCABULARY.index("plot"), SEP]  # fmt: skip
    assert batch.labels.tolist() == [[3, 3], [0, 0]]
    assert windows.contexts.first_tokens.tolist() == [0, 18, 20]


def test_characters_are_those_of_the_original_text():
    context = "Żółw, the\u00a0FILM 😀 was fíne"
    windows = windows_of(ask("film", context, Answer("FILM 😀 was", 10)))
    assert text_of(windows, 0, context) == "FILM 😀 was"


def test_what_looks_like_a_border_in_a_text_is_text():
    context = "was [SEP] fine"
    windows = windows_of(ask("[CLS] film", context, Answer("fine", 10)))
    assert text_of(windows, 0, context) == "fine"
    assert (windows.input_ids == SEP).sum() == 2
    assert (windows.input_ids == CLS).sum() == 1
