"""Settings of the commands that look at what others wrote."""

from dataclasses import dataclass

from selfsup.settings.fields import argument, flag


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Write an HTML page about runs: curves, tables, settings.

    The page is a single file that needs no network. Several runs are drawn over each other.

    Examples:
      selfsup report runs/mine
      selfsup report runs/linear runs/wsd
    """

    runs: tuple[str, ...] = argument("run folders", metavar="RUN")
    out: str | None = flag(
        "file to write; if not given report.html in the run's folder, or comparison.html in the "
        "folder that several runs are in",
        default=None,
        group="Run",
        metavar="FILE",
    )


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

    path: str = argument("shards, a run folder, a data file, or images", metavar="PATH")
