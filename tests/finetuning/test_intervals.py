"""95 % intervals, against SciPy and against how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from selfsup.finetuning.intervals import bootstrap, percentile_interval, wilson_interval


@pytest.mark.parametrize(("right", "count"), [(0, 10), (7, 10), (10, 10), (431, 500)])
def test_the_interval_of_a_share_is_wilsons(right: int, count: int):
    expected = binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx([expected.low, expected.high])


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    values = np.random.default_rng(1).normal(3, 2, 400)
    samples = bootstrap([lambda indices: float(values[indices].mean())], len(values))[0]
    low, high = percentile_interval(samples)
    reach = norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - reach, abs=0.04)
    assert high == pytest.approx(values.mean() + reach, abs=0.04)


def test_two_metrics_are_measured_on_the_same_samples():
    values = np.random.default_rng(2).random(50)
    metrics = [lambda i: float(values[i].mean()), lambda i: float(values[i].mean() + 1)]
    a, b = bootstrap(metrics, len(values), samples=20)
    np.testing.assert_allclose(b - a, 1)
    assert len(set(a)) == 20
