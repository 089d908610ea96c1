"""Lengths of time as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.errors import UserError
from selfsup.settings.pretrain import seconds_in


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1.5h", 5400), ("1h0m1s", 3601), (" 2M ", 120)],
)
def test_hours_minutes_and_seconds_are_added_up(written: str, seconds: float):
    assert seconds_in(written) == seconds


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_any_hours_minutes_and_seconds(hours: int, minutes: int, seconds: int):
    assert seconds_in(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


@pytest.mark.parametrize("written", ["", "20", "m", "0s", "-5m", "20 m", "5m1h", "soon", "1d"])
def test_anything_else_is_refused_by_the_flags_name(written: str):
    with pytest.raises(UserError, match=r"^--budget takes a time such as 90s"):
        seconds_in(written)
