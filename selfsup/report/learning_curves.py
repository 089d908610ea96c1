"""How a fine-tuning run's seeds went, epoch by epoch."""

from selfsup.report.line_chart import Level, Line, line_chart
from selfsup.report.run_folder import Record, Run
from selfsup.report.run_state import values
from selfsup.report.scores import SHARES, metric_title

# Measured, but drawn in no curve: another metric's curve says nearly the same.
_LEFT_OUT = {"loss": "mean_squared_error", "has_answer_exact_match": "has_answer_f1",
             "no_answer_exact_match": "no_answer_f1"}  # fmt: skip
# What the training loss is a mean over, where it is not examples.
_UNITS = {"question-answering": "nats a window", "token-classification": "nats a word",
          "image-classification": "nats an image"}  # fmt: skip


def learning_curves(run: Run) -> list[str]:
    """A chart for each metric on the validation examples, and one of the training loss.

    The metric that epochs are chosen by comes first, with what one answer for all would come to.
    """
    seeds = sorted({line.get("seed", 0) for line in run.epochs})
    by_seed = [
        (
            f"seed {seed}" if len(seeds) > 1 else "",
            [line for line in run.epochs if line.get("seed", 0) == seed],
        )
        for seed in seeds
    ]
    figures = [
        line_chart(
            f"Validation: {metric_title(name)}",
            [
                _line(label, lines, [line["validation"] for line in lines], name, colour)
                for colour, (label, lines) in enumerate(by_seed)
            ],
            x_label="epoch",
            whole_x=True,
            y_label="",
            write_x=lambda x: f"{x:g}",
            percent=name in SHARES,
            levels=_chance(run) if name == run.summary.get("selection_metric") else (),
        )
        for name in _metrics(run)
    ]
    figures.append(
        line_chart(
            "Training loss",
            [
                _line(label, lines, lines, "train_loss", colour)
                for colour, (label, lines) in enumerate(by_seed)
            ],
            x_label="epoch",
            whole_x=True,
            y_label=_unit_of_loss(run),
            write_x=lambda x: f"{x:g}",
            write_y=lambda y: f"{y:.3g}",
            from_zero=True,
        )
    )
    return figures


def _metrics(run: Run) -> list[str]:
    """The metrics to draw: the one to choose by, then as in the summary, then all others."""
    names = {name for line in run.epochs for name in line["validation"]}
    names -= {name for name, other in _LEFT_OUT.items() if other in names}
    order = [run.summary.get("selection_metric"), *(run.summary.get("metrics") or {})]
    return sorted(names, key=lambda name: (order.index(name) if name in order else 99, name))


def _line(label: str, lines: list[Record], records: list[Record], key: str, colour: int) -> Line:
    epochs = [float(line.get("epoch", number)) for number, line in enumerate(lines, 1)]
    return Line(label, epochs, values(records, key), colour % 6 + 1)


def _chance(run: Run) -> list[Level]:
    chance = run.summary.get("chance")
    return [Level("one answer for all", chance)] if chance else []


def _unit_of_loss(run: Run) -> str:
    if "spearman" in (run.summary.get("metrics") or {}):
        return "squared error, in standard deviations"
    return _UNITS.get(run.summary.get("task", ""), "nats an example")
