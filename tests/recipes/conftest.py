"""Runs of recipes as tests have time for."""

import pytest

from selfsup.training.compute import Compute


@pytest.fixture(scope="session", autouse=True)
def machine_of_known_speed():
    """Its peak is not measured, ten times a run, which takes longer than these runs do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compute, "matmul_peak", lambda self: 1e11)
        yield
