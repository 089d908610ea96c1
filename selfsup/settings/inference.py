"""Settings of the commands that use a trained model."""

import dataclasses
from dataclasses import dataclass
from functools import partial

from selfsup.errors import UserError
from selfsup.settings import fields, labelled_data
from selfsup.settings.corpus import max_bad_fraction
from selfsup.settings.fields import argument, check_values, data_flag, flag_name, run_flag
from selfsup.settings.reading import ReadingFlags

# Settings that have no effect where answers are scored without a model. Those of the machine may
# still be given, as they are the same for all commands.
_OF_A_MODEL = ("null_threshold", "max_answer_length", "batch_size")

batch_size = partial(run_flag, "examples in a batch", default=64, metavar="N", at_least=1)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(ReadingFlags):
    """Score a fine-tuned model on labelled examples, or a file of answers to questions.

    Examples:
      selfsup evaluate runs/task --data test.tsv --predictions answers.jsonl
      selfsup evaluate --predictions-file answers.json --data dev-v2.0.json
    """

    model: str | None = argument("folder of a fine-tuned model", metavar="MODEL", default=None)
    data: str = data_flag(
        "labelled examples: a file, or a folder of images", metavar="FILE", required=True
    )
    predictions: str | None = data_flag(
        "file to write the prediction for each example to (.jsonl, .csv); - for standard output",
        metavar="FILE",
    )
    predictions_file: str | None = data_flag(
        'answers to score instead of a model: {"id": "answer"}, as for SQuAD', metavar="FILE"
    )
    text_column: str | None = labelled_data.text_column()
    text_pair_column: str | None = labelled_data.text_pair_column()
    label_column: str | None = labelled_data.label_column()
    label_separator: str | None = labelled_data.label_separator()
    missing_labels: str | None = labelled_data.missing_labels()
    max_bad_fraction: float = max_bad_fraction("images")
    max_answer_length: int | None = labelled_data.max_answer_length()
    null_threshold: float | None = labelled_data.null_threshold()
    batch_size: int = batch_size()
    device: str = fields.device()
    precision: str = fields.precision()
    threads: int | None = fields.threads()

    @property
    def writes_to_stdout(self) -> bool:
        """Whether standard output is for the predictions alone."""
        return self.predictions == "-"

    def __post_init__(self) -> None:
        super().__post_init__()
        labelled_data.check_label_separator(self.label_separator)
        if (self.model is None) == (self.predictions_file is None):
            raise UserError("give either a MODEL to measure or --predictions-file FILE to score")
        if self.predictions_file is not None and self.predictions is not None:
            raise UserError("--predictions needs a MODEL: without one leave it out")
        if self.predictions_file is not None:
            for field in dataclasses.fields(self):
                is_given = getattr(self, field.name) != field.default
                if field.name in _OF_A_MODEL and is_given:
                    raise UserError(f"{flag_name(field)} is for a MODEL's answers: leave it out")


@dataclass(frozen=True, kw_only=True)
class PredictSettings(ReadingFlags):
    """Predict with a fine-tuned model, for one text or image or for many.

    A TEXT of - reads standard input. Each line is a text, a pair with a tab between its texts, a
    question with a tab before its context, or the path of an image. --data - reads a table.
    Predictions are in UTF-8, on standard output as in a file.

    Examples:
      selfsup predict runs/task "A film to see twice."
      selfsup predict runs/pairs "It rains." --text-pair "The street is wet."
      selfsup predict runs/answers "The bridge opened in 1883." --question "When did it open?"
      selfsup predict runs/task --data new.tsv --out answers.csv
      selfsup predict runs/task -
    """

    model: str = argument("folder of a fine-tuned model", metavar="MODEL")
    text: str | None = argument(
        "a text, or an image file, to predict for; - for one in each line of standard input",
        metavar="TEXT",
        default=None,
    )
    data: str | None = data_flag(
        "file of texts, or folder of images, to predict for; - for standard input", metavar="FILE"
    )
    data_format: str | None = data_flag(
        "format of --data -; by default json, jsonl, csv or tsv as its first line looks",
        choices=("json", "jsonl", "csv", "tsv", "txt", "conll"),
    )
    out: str | None = data_flag(
        "file to write the predictions of --data or - to; by default standard output",
        metavar="FILE",
    )
    format: str | None = data_flag(
        "format of these predictions; by default csv if --out ends in .csv, and else jsonl",
        choices=("jsonl", "csv"),
    )
    text_pair: str | None = data_flag("second text of a pair", metavar="TEXT")
    question: str | None = data_flag(
        "question to answer from TEXT or --context-file", metavar="QUESTION"
    )
    context_file: str | None = data_flag(
        "plain text file to answer --question from", metavar="FILE"
    )
    text_column: str | None = labelled_data.text_column()
    text_pair_column: str | None = labelled_data.text_pair_column()
    max_answer_length: int | None = labelled_data.max_answer_length()
    null_threshold: float | None = labelled_data.null_threshold()
    batch_size: int = batch_size()
    device: str = fields.device()
    precision: str = fields.precision()
    threads: int | None = fields.threads()

    @property
    def has_many(self) -> bool:
        """Whether the predictions are for a file or for each line of standard input."""
        return self.data is not None or (self.text == "-" and self.question is None)

    @property
    def writes_to_stdout(self) -> bool:
        """Whether standard output is for the predictions alone."""
        return self.has_many and self.out in (None, "-")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data_format is not None and self.data != "-":
            raise UserError("--data-format is for --data -: a file's name tells its format")
        if self.context_file is not None and self.question is None:
            raise UserError("--context-file goes with --question: give both")
        if self.question is not None and (self.text is None) == (self.context_file is None):
            raise UserError(
                "--question needs one text to answer it from: either a TEXT or --context-file"
            )
        if self.question is not None and self.data is not None:
            raise UserError("give either --question or --data, whose file holds questions")
        if (self.text is None and self.context_file is None) == (self.data is None):
            raise UserError("give either a TEXT or --data FILE to predict for")
        if self.text_pair is not None and self.text is None:
            raise UserError("--text-pair goes with a TEXT: give both")
        for name, column in (("--text-column", self.text_column),
                             ("--text-pair-column", self.text_pair_column)):  # fmt: skip
            if self.data is None and column is not None:
                raise UserError(f"{name} goes with --data FILE: leave it out")
        if self.text == "-" and self.text_pair is not None:
            raise UserError("--text-pair goes with one TEXT: in lines, put a tab between the two")
        if not self.has_many and (self.out or self.format) is not None:
            name = "--out" if self.out is not None else "--format"
            raise UserError(f"{name} is for the predictions of --data FILE or -: leave it out")


@dataclass(frozen=True, kw_only=True)
class FillMaskSettings:
    """Show which tokens a model predicts for [MASK].

    Example:
      selfsup fill-mask runs/mine "Paris is the [MASK] of France." --top 5
    """

    model: str = argument("folder of a pre-trained model", metavar="MODEL")
    text: str = argument("a text with one or more [MASK]", metavar="TEXT")
    top: int = run_flag(
        "candidates to show for each mask", default=5, metavar="N", at_least=1, at_most=1000
    )
    device: str = fields.device()
    precision: str = fields.precision()
    threads: int | None = fields.threads()

    def __post_init__(self) -> None:
        check_values(self)
