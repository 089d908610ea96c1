"""What a report shows of several runs: curves over each other, results side by side."""

from collections.abc import Sequence

from selfsup.report import numbers
from selfsup.report.demo_ways import ways_of
from selfsup.report.finetuning_comparison import finetuning_comparison
from selfsup.report.markup import charts, section, table
from selfsup.report.pretraining_comparison import pretraining_comparison
from selfsup.report.run_folder import Run
from selfsup.report.score_comparison import score_bars, score_table


def comparison_sections(runs: list[Run]) -> str:
    """Each kind of run in a section of its own, then the settings in which the runs differ."""
    names = distinct_names(runs)
    by_kind = {
        kind: [(name, run) for name, run in zip(names, runs, strict=True) if run.kind == kind]
        for kind in ("pretrain", "finetune", "demo")
    }
    return (
        pretraining_comparison(by_kind["pretrain"])
        + finetuning_comparison(by_kind["finetune"])
        + section("Demo", *_demos(by_kind["demo"]))
        + section("Settings that differ", _differing_settings(names, runs))
    )


def distinct_names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, with as many of the folders above as it takes to tell them apart."""
    paths = [run.folder.resolve() for run in runs]
    for parts in range(1, 1 + max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    # The same run given twice.
    return [f"{run.name} ({number})" for number, run in enumerate(runs, 1)]


def _demos(runs: list[tuple[str, Run]]) -> list[str]:
    scores = {
        run_name: {
            f"accuracy, {name}": (run.summary.get(key) or {}).get("accuracy")
            for key, name, _ in ways_of(run.summary)
        }
        for run_name, run in runs
    }
    return [charts(*score_bars(scores)), score_table(scores)]


def _differing_settings(names: list[str], runs: list[Run]) -> str:
    keys = list(dict.fromkeys(key for run in runs for key in run.settings if key != "out"))
    rows = [
        [key, *(numbers.setting(run.settings.get(key)) for run in runs)]
        for key in keys
        if len({repr(run.settings.get(key)) for run in runs}) > 1
    ]
    return table(["", *names], rows) if rows else ""
