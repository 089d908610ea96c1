"""Flags about the machine, the same for every command that computes."""

from selfsup.settings.flag import flag


def device() -> str:
    return flag(
        "what to compute on; auto takes a GPU where there is one",
        default="auto",
        group="Run",
        choices=("auto", "cpu", "cuda", "mps"),
    )


def precision() -> str:
    return flag(
        "number format of the matrix products; auto takes bf16 where the hardware has it",
        default="auto",
        group="Run",
        choices=("auto", "bf16", "float32"),
    )


def threads() -> int | None:
    return flag(
        "processor threads; all cores if not given",
        default=None,
        group="Run",
        metavar="N",
        at_least=1,
    )


def seed() -> int:
    return flag(
        "where all that is random starts: the same seed gives the same run",
        default=0,
        group="Run",
        metavar="S",
        at_least=0,
        at_most=2**63 - 1,
    )
