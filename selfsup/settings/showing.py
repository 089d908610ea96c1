"""Settings of the commands that show something: the demo, reports and the doctor."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings import fields
from selfsup.settings.fields import argument, check_values, closest, run_flag

DEMOS = ("text", "images")


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Show the effect of pre-training in a few minutes.

    Reads the documentation of Python and of the libraries that selfsup depends on, pre-trains a
    small encoder on it, and fine-tunes it on a small labelled task, in comparison with one that
    starts from random weights. With images it does the same on the handwritten digits that come
    with scikit-learn. Downloads nothing.

    Example:
      selfsup demo --out runs/demo --minutes 5
      selfsup demo images
    """

    data: str = argument(
        "what to pre-train on: text, or images", metavar="text|images", default="text"
    )

    out: str | None = run_flag(
        "run folder to write to; by default runs/demo, or runs/demo-images for images",
        metavar="RUN",
    )
    minutes: float | None = run_flag(
        "minutes of pre-training in all; by default 5, or 3 for images",
        metavar="M",
        at_least=0.01,
        at_most=10_000,
    )
    seeds: int = run_flag(
        "fine-tuning runs of each encoder", default=3, metavar="K", at_least=1, at_most=100
    )
    seed: int = fields.seed()
    device: str = fields.device()
    precision: str = fields.precision()
    threads: int | None = fields.threads()
    workers: int | None = fields.workers()

    def __post_init__(self) -> None:
        check_values(self)
        if self.data not in DEMOS:
            allowed = " or ".join(DEMOS)
            raise UserError(f"demo takes {allowed}, not {self.data!r}{closest(self.data, DEMOS)}")


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Write an HTML page about runs: curves, tables, settings.

    The page is a single file that needs no network. Several runs are drawn in the same charts.

    Examples:
      selfsup report runs/mine
      selfsup report runs/linear runs/wsd
    """

    runs: tuple[str, ...] = argument("run folders", metavar="RUN")
    out: str | None = run_flag(
        "file to write; by default report.html in the run's folder, or comparison.html in the "
        "parent folder of several runs",
        metavar="FILE",
    )


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """Say what is wrong with data or a run, and how to fix it.

    Labelled tables, questions as in SQuAD and tagged sentences are recognised by their content.
    With --json, `problems` lists what is found, and `examined` what was looked at.

    Examples:
      selfsup doctor my-shards
      selfsup doctor runs/mine
      selfsup doctor texts.jsonl
      selfsup doctor train-v2.0.json
      selfsup doctor train.conll
    """

    path: str = argument("shards, a run folder, a data file, or images", metavar="PATH")
    strict: bool = run_flag("exit with status 1 instead of 0 if a problem is found", default=False)
