"""Windows cover a text, overlap as asked, and fit; pairs lose tokens of the longer text first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selfsup.tasks.text_windows import pair_windows, truncate, truncate_pairs, windows

LENGTHS = st.lists(st.integers(0, 90), min_size=1, max_size=30).map(np.array)
PAIRS = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=30
).map(np.array)  # fmt: skip


@given(LENGTHS, st.integers(1, 40))
def test_a_cut_text_keeps_its_beginning(lengths, room):
    spans = truncate(lengths, room)
    assert spans.texts.tolist() == list(range(len(lengths)))
    assert not spans.starts.any()
    assert spans.lengths.tolist() == [min(length, room) for length in lengths]


@given(LENGTHS, st.integers(2, 40), st.integers(0, 20))
def test_windows_cover_each_text_in_order_and_share_what_they_are_asked_to(lengths, room, overlap):
    spans = windows(lengths, np.full_like(lengths, room), np.full_like(lengths, overlap))
    assert sorted(set(spans.texts.tolist())) == list(range(len(lengths)))
    assert (np.diff(spans.texts) >= 0).all()
    for text, length in enumerate(lengths):
        of_text = spans.texts == text
        starts, ends = spans.starts[of_text], (spans.starts + spans.lengths)[of_text]
        assert starts[0] == 0
        assert ends[-1] == length
        assert (ends - starts == min(length, room)).all()
        assert (np.diff(starts) > 0).all()
        shared = ends[:-1] - starts[1:]
        assert (shared >= min(overlap, room - 1)).all()
        assert (shared[:-1] == min(overlap, room - 1)).all()  # only the last may share more


def test_a_text_that_fits_is_one_window():
    spans = windows(np.array([4, 5, 0]), np.array([5, 5, 5]), np.full(3, 2))
    assert spans.lengths.tolist() == [4, 5, 0]


def test_the_last_window_ends_where_the_text_ends():
    spans = windows(np.array([12]), np.array([5]), np.array([2]))
    assert spans.starts.tolist() == [0, 3, 6, 7]


def by_the_tokenizers_rule(first: int, second: int, room: int) -> tuple[int, int]:
    """Take tokens away one at a time, from the longer text."""
    while first + second > room:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


@given(PAIRS, st.integers(2, 60))
def test_pairs_lose_tokens_of_the_longer_text_first(pairs, room):
    first, second = truncate_pairs(pairs[:, 0], pairs[:, 1], room)
    for (a, b), x, y in zip(pairs, first.lengths, second.lengths, strict=True):
        one_by_one = by_the_tokenizers_rule(a, b, room)
        assert x + y == sum(one_by_one)
        assert abs(x - one_by_one[0]) <= 1  # of equally long texts either may keep the odd token
        if a + b <= room:
            assert (x, y) == (a, b)


@given(PAIRS, st.integers(4, 60), st.integers(0, 20))
def test_windows_of_pairs_go_over_the_longer_text_beside_the_shorter(pairs, room, overlap):
    first, second = pair_windows(pairs[:, 0], pairs[:, 1], room, overlap)
    assert (first.texts == second.texts).all()
    assert (first.lengths + second.lengths <= room).all()
    for text, (a, b) in enumerate(pairs):
        longer, shorter = (first, second) if a > b else (second, first)
        of_text = longer.texts == text
        assert not shorter.starts[of_text].any()
        assert (shorter.lengths[of_text] == min(a, b, room // 2)).all()
        assert (longer.starts + longer.lengths)[of_text].max() == max(a, b)
        assert of_text.sum() == 1 or a + b > room
