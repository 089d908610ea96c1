"""What a report shows of several runs: curves over each other, results side by side."""

from collections.abc import Callable

from selfsup.report import numbers
from selfsup.report.demo import WAYS
from selfsup.report.finetuning_comparison import finetuning_comparison
from selfsup.report.line_chart import Level, Line, line_chart, smoothed
from selfsup.report.markup import charts, section, table
from selfsup.report.pretraining import curve, final_state
from selfsup.report.run_folder import Run
from selfsup.report.score_comparison import score_bars, score_table

# (key of the final state, name, how it is written, whether more is better; None: neither is)
_RESULTS: tuple[tuple[str, str, Callable[[float], str], bool | None], ...] = (
    ("mlm_loss", "Held-out loss", lambda value: f"{value:.3f}", False),
    ("mlm_accuracy", "Masked tokens", numbers.percent, True),
    ("nsp_accuracy", "Next sentence", numbers.percent, True),
    ("tokens", "Tokens seen", numbers.count, None),
    ("steps", "Steps", lambda value: f"{value:,.0f}", None),
    ("tokens_per_second", "Tokens a second", numbers.count, True),
    ("flops_utilization", "Utilisation", numbers.percent, True),
    ("seconds", "Time", numbers.duration, None),
)


def comparison_sections(runs: list[Run]) -> str:
    """Each kind of run in a section of its own, then the settings in which the runs differ."""
    names = distinct_names(runs)
    by_kind = {
        kind: [(name, run) for name, run in zip(names, runs, strict=True) if run.kind == kind]
        for kind in ("pretrain", "finetune", "demo")
    }
    return (
        section("Pre-training", *_pretraining(by_kind["pretrain"]))
        + finetuning_comparison(by_kind["finetune"])
        + section("Demo", *_demos(by_kind["demo"]))
        + section("Settings that differ", _differing_settings(names, runs))
    )


def distinct_names(runs: list[Run]) -> list[str]:
    """The folders' names, with as many of the folders above as it takes to tell them apart."""
    paths = [run.folder.resolve() for run in runs]
    for parts in range(1, 1 + max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    # The same run given twice.
    return [f"{run.name} ({number})" for number, run in enumerate(runs, 1)]


def _pretraining(runs: list[tuple[str, Run]]) -> list[str]:
    if not runs:
        return []
    longest = max((final_state(run).get("seconds") or 0 for _, run in runs), default=0)
    unit, size = next(
        entry for entry in (("hours", 3600), ("minutes", 60), ("seconds", 1))
        if longest >= 3 * entry[1] or entry[1] == 1
    )  # fmt: skip
    tokens = {"x_label": "tokens seen", "write_x": numbers.count}
    time = {"x_label": unit, "write_x": lambda x: f"{x:.4g}"}
    loss = {
        "y_label": "nats per masked token",
        "skip_start": 0.03,
    }
    share = {"y_label": "share guessed right", "percent": True}

    def overlaid(x: str, y: str, divide_by: float = 1.0) -> list[Line]:
        return [
            Line(
                name,
                [value / divide_by for value in line.x],
                smoothed(line.y) if y == "tokens_per_second" else line.y,
                colour % 6 + 1,
            )
            for colour, (name, run) in enumerate(runs)
            for line in curve(
                name, run.training if y == "tokens_per_second" else run.evaluation, x, y
            )
        ]

    held_out_nsp = overlaid("tokens", "held_out_nsp_accuracy")
    chance = [Level("chance", 0.5)] if held_out_nsp else []
    return [
        charts(
            line_chart("Held-out loss", overlaid("tokens", "held_out_mlm_loss"), **loss, **tokens),
            line_chart(
                "Held-out loss, against time",
                overlaid("seconds", "held_out_mlm_loss", size),
                **loss,
                **time,
            ),
            line_chart(
                "Masked tokens", overlaid("tokens", "held_out_mlm_accuracy"), **share, **tokens
            ),
            line_chart("Next sentence", held_out_nsp, levels=chance, **share, **tokens),
            line_chart(
                "Speed",
                overlaid("tokens", "tokens_per_second"),
                y_label="tokens a second",
                write_y=numbers.count,
                from_zero=True,
                **tokens,
            ),
        ),
        _results(runs),
    ]


def _results(runs: list[tuple[str, Run]]) -> str:
    states = [final_state(run) for _, run in runs]
    rows, strong = [], set()
    for key, name, write, more_is_better in _RESULTS:
        given = [state.get(key) for state in states]
        known = [value for value in given if numbers.is_number(value)]
        if not known:
            continue
        rows.append([name] + [write(v) if numbers.is_number(v) else "–" for v in given])
        if more_is_better is not None and len(set(known)) > 1:
            best = (max if more_is_better else min)(known)
            strong |= {(len(rows) - 1, column) for column, v in enumerate(given, 1) if v == best}
    return table(["", *(name for name, _ in runs)], rows, strong=strong) if rows else ""


def _demos(runs: list[tuple[str, Run]]) -> list[str]:
    scores = {
        run_name: {
            f"accuracy, {name}": (run.summary.get(key) or {}).get("accuracy")
            for key, name, _ in WAYS
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
