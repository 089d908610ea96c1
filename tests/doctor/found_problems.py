"""Ask the doctor."""

from pathlib import Path

from selfsup.doctor import doctor
from selfsup.settings.showing import DoctorSettings


def found_in(path: Path | str) -> list[str]:
    """Each problem as `what → how to fix it`."""
    result = doctor(DoctorSettings(path=str(path)))
    assert all(problem["what"] and problem["fix"] for problem in result["problems"])
    return [f"{problem['what']} → {problem['fix']}" for problem in result["problems"]]


def only_one(problems: list[str]) -> str:
    """The problem, of which there must be one."""
    (problem,) = problems
    return problem
