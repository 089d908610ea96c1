"""Settings of the commands that use a trained model."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings import machine, task_flags
from selfsup.settings.flag import argument, check_values, flag


def batch_size() -> int:
    return flag("examples at a time", default=64, group="Run", metavar="N", at_least=1)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Measure a fine-tuned model on labelled examples.

    Example:
      selfsup evaluate runs/task --data test.tsv --predictions answers.jsonl
    """

    model: str = argument("folder of a fine-tuned model", metavar="MODEL")
    data: str = flag("labelled examples", group="Data", metavar="FILE")
    predictions: str | None = flag(
        "file to write each example's prediction to", default=None, group="Data", metavar="FILE"
    )
    text_column: str | None = task_flags.text_column()
    text_pair_column: str | None = task_flags.text_pair_column()
    label_column: str | None = task_flags.label_column()
    label_separator: str | None = task_flags.label_separator()
    batch_size: int = batch_size()
    device: str = machine.device()
    precision: str = machine.precision()
    threads: int | None = machine.threads()

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """Predict with a fine-tuned model, for a text or a file of them.

    Examples:
      selfsup predict runs/task "A film to see twice."
      selfsup predict runs/pairs "It rains." --text-pair "The street is wet."
      selfsup predict runs/task --data new.tsv --out answers.jsonl
    """

    model: str = argument("folder of a fine-tuned model", metavar="MODEL")
    text: str | None = argument("one text to predict for", metavar="TEXT", default=None)
    data: str | None = flag(
        "file of texts to predict for", default=None, group="Data", metavar="FILE"
    )
    out: str | None = flag(
        "file to write the predictions of --data to", default=None, group="Data", metavar="FILE"
    )
    text_pair: str | None = flag(
        "the second text of a pair, or the text that a question is about",
        default=None,
        group="Data",
        metavar="TEXT",
    )
    text_column: str | None = task_flags.text_column()
    text_pair_column: str | None = task_flags.text_pair_column()
    batch_size: int = batch_size()
    device: str = machine.device()
    precision: str = machine.precision()
    threads: int | None = machine.threads()

    def __post_init__(self) -> None:
        check_values(self)
        if (self.text is None) == (self.data is None):
            raise UserError("give either a TEXT or --data FILE --out FILE to predict for")
        if self.text_pair is not None and self.text is None:
            raise UserError("--text-pair goes with a TEXT: give both")
        if (self.data is None) != (self.out is None):
            raise UserError("--data FILE and --out FILE go together: give both, or a TEXT")


@dataclass(frozen=True, kw_only=True)
class FillMaskSettings:
    """Show what a model would put in place of [MASK].

    Example:
      selfsup fill-mask runs/mine "Paris is the [MASK] of France." --top 5
    """

    model: str = argument("folder of a pre-trained model", metavar="MODEL")
    text: str = argument("a text with [MASK] in it, once or more", metavar="TEXT")
    top: int = flag(
        "candidates to show for each mask", default=5, group="Run", metavar="N", at_least=1,
        at_most=1000,
    )  # fmt: skip
    device: str = machine.device()
    precision: str = machine.precision()
    threads: int | None = machine.threads()

    def __post_init__(self) -> None:
        check_values(self)
