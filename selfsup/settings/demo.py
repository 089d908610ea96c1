"""Settings of the demo."""

from dataclasses import dataclass

from selfsup.settings import corpus, machine
from selfsup.settings.flag import check_values, flag


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Show in a few minutes what pre-training is worth.

    Reads the documentation of the installed Python packages, pre-trains a small encoder on it, and
    fine-tunes it on a small labelled task beside one that starts from random weights. Downloads
    nothing.

    Example:
      selfsup demo --out runs/demo --minutes 5
    """

    out: str = flag("run folder to write to", default="runs/demo", group="Run", metavar="RUN")
    minutes: float = flag(
        "how long to pre-train", default=5.0, group="Run", metavar="M", at_least=0.01,
        at_most=10_000,
    )  # fmt: skip
    seeds: int = flag(
        "fine-tuning runs of each kind",
        default=3,
        group="Run",
        metavar="K",
        at_least=1,
        at_most=100,
    )
    seed: int = machine.seed()
    device: str = machine.device()
    precision: str = machine.precision()
    threads: int | None = machine.threads()
    workers: int | None = corpus.workers()

    def __post_init__(self) -> None:
        check_values(self)
