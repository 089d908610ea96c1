"""Settings of the commands that look at what others wrote."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings.flag import argument, flag


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Write an HTML page about runs: curves, tables, settings.

    The page is a single file that needs no network. Several runs are drawn over each other.

    Examples:
      selfsup report runs/mine
      selfsup report runs/linear runs/wsd --out comparison.html
    """

    runs: tuple[str, ...] = argument("run folders", metavar="RUN")
    out: str | None = flag(
        "file to write; report.html in the run folder if not given (needed for several runs)",
        default=None,
        group="Run",
        metavar="FILE",
    )

    def __post_init__(self) -> None:
        if len(self.runs) > 1 and self.out is None:
            raise UserError("a report on several runs needs a place: add --out FILE.html")


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """Say what is wrong with data or a run, and how to mend it.

    Labelled tables, questions in SQuAD's form and tagged sentences are told from text by what is
    in them. The exit status is 0 also where it finds something; with --json, `problems` lists it.

    Examples:
      selfsup doctor my-shards
      selfsup doctor runs/mine
      selfsup doctor texts.jsonl
      selfsup doctor train-v2.0.json
      selfsup doctor train.conll
    """

    path: str = argument("shards, a run folder or a data file", metavar="PATH")
