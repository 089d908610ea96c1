"""Settings of the commands that inspect data and runs: report and doctor."""

from dataclasses import dataclass

from selfsup.settings.fields import argument, run_flag


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
    The exit status is 0 even if problems are found; with --json, `problems` lists them.

    Examples:
      selfsup doctor my-shards
      selfsup doctor runs/mine
      selfsup doctor texts.jsonl
      selfsup doctor train-v2.0.json
      selfsup doctor train.conll
    """

    path: str = argument("shards, a run folder, a data file, or images", metavar="PATH")
