"""Fixtures and settings of all tests: real data, threads, and hypothesis profiles."""

import os
from pathlib import Path

import hypothesis
import pytest

# With two workers on two cores, one thread in each is faster than a thread pool in each.
# OpenMP reads this when torch is first imported, so it is set before any test module is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: the time of an example depends more on the machine than on the code.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: `SELFSUP_DATA`, or `../shared/data` next to the project."""
    folder = Path(os.environ.get("SELFSUP_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: set SELFSUP_DATA to the data folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def machine_of_known_speed():
    """Skip the measurement of the machine's peak: it takes longer than most of these tests."""
    from selfsup.training.compute import Compute

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compute, "matmul_peak", lambda self: 1e11)
        yield
