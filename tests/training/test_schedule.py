"""How the learning rate moves over a run."""

import pytest

from selfsup.training.optimizers import rate_multiplier


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("linear", 0.2, {0.0: 0.0, 0.1: 0.5, 0.2: 1.0, 0.6: 0.5, 1.0: 0.0}),
        ("linear", 0.0, {0.0: 1.0, 0.25: 0.75, 1.0: 0.0}),
        ("wsd", 0.1, {0.0: 0.0, 0.05: 0.5, 0.1: 1.0, 0.5: 1.0, 0.75: 1.0, 0.875: 0.5, 1.0: 0.0}),
        ("wsd", 0.9, {0.45: 0.5, 0.9: 1.0, 0.95: 0.5, 1.0: 0.0}),  # no room to stay level
    ],
)
def test_it_rises_stays_and_falls(schedule, warmup, expected):
    found = {progress: rate_multiplier(schedule, progress, warmup) for progress in expected}
    assert found == pytest.approx(expected)


def test_there_is_no_other_schedule():
    with pytest.raises(ValueError, match="no schedule is called 'cosine'"):
        rate_multiplier("cosine", 0.5, 0.1)
