"""What every test shares: where the real data lies, and how many threads a test may take."""

import os
from pathlib import Path

import hypothesis
import pytest

# With two workers on two cores, a thread pool in each is slower than one thread in each.
# Read by OpenMP when torch is first imported, so it is set here, before any test module is.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: how long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data (`SELFSUP_DATA`, else `../shared/data` beside the project)."""
    folder = Path(os.environ.get("SELFSUP_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: set SELFSUP_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session", autouse=True)
def machine_of_known_speed():
    """A machine's peak is not measured: that takes longer than most runs of these tests."""
    from selfsup.training.compute import Compute

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compute, "matmul_peak", lambda self: 1e11)
        yield
