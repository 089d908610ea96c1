"""Settings of fine-tuning on a labelled task."""

import dataclasses
from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings import fields, labelled_data
from selfsup.settings.corpus import max_bad_fraction
from selfsup.settings.fields import (
    argument,
    closest,
    data_flag,
    model_flag,
    optimisation_flag,
    run_flag,
)
from selfsup.settings.labelled_data import TASKS
from selfsup.settings.reading import ReadingFlags


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(ReadingFlags):
    """Fine-tune an encoder on a task with labelled examples.

    With --encoder NAME (bert-mini, …) instead of a model folder the encoder starts from random
    weights, for comparison with a pre-trained one.

    Example:
      selfsup finetune sequence-classification --encoder runs/mine \\
          --train train.tsv --validation dev.tsv --out runs/task
    """

    task: str = argument("the task: " + ", ".join(TASKS), metavar="TASK")
    encoder: str = model_flag(
        "pre-trained model folder, or a size such as bert-mini or vit-tiny to start from random "
        "weights",
        metavar="MODEL|NAME",
        required=True,
    )
    train: str = data_flag(
        "labelled training examples; for images a folder with a subfolder for each class",
        metavar="FILE",
        required=True,
    )
    validation: str = data_flag(
        "labelled examples for validation, or a share of those to train on, such as 0.1: chosen by "
        "--seed and stratified by label; the same text or context is never on both sides",
        metavar="FILE|SHARE",
        required=True,
    )
    out: str = run_flag("run folder to write to", metavar="RUN", required=True)

    text_column: str | None = labelled_data.text_column()
    text_pair_column: str | None = labelled_data.text_pair_column()
    label_column: str | None = labelled_data.label_column()
    label_type: str | None = data_flag(
        "whether an example has one label, several labels, or a number; by default found from the "
        "labels",
        choices=("class", "multi", "number"),
    )
    label_separator: str | None = labelled_data.label_separator()
    missing_labels: str | None = labelled_data.missing_labels()
    max_bad_fraction: float = max_bad_fraction("images")

    tokenizer: str | None = model_flag(
        "folder of the tokenizer for an encoder given by name; "
        "by default one is trained on the texts",
        metavar="DIR",
    )
    max_length: int | None = model_flag(
        "longest sequence; by default 128, or 384 for question-answering",
        metavar="TOKENS",
        at_least=8,
        at_most=512,
    )
    long_text: str | None = model_flag(
        "what to do with a longer text: truncate it (default), or average over windows of it",
        choices=("truncate", "window"),
    )
    doc_stride: int | None = model_flag(
        "tokens that neighbouring windows of a longer text share; by default a third of the window",
        metavar="TOKENS",
        at_least=0,
    )
    max_answer_length: int | None = labelled_data.max_answer_length()
    image_size: int | None = model_flag(
        "side of the encoder's square input images; by default that of the model, or from the "
        "size of the images",
        metavar="PIXELS",
        at_least=8,
        at_most=2048,
    )
    patch_size: int | None = model_flag(
        "side of the patches of an encoder given by name; by default from the size of the images",
        metavar="PIXELS",
        at_least=1,
        at_most=256,
    )
    mirror: bool = fields.mirror(group="Model")
    freeze: str | None = model_flag(
        "what is not trained: the encoder, the embeddings, or "
        "the embeddings and the first N layers",
        metavar="encoder|embeddings|N",
    )
    reinit_layers: int | None = model_flag(
        "number of top layers to reinitialise with random weights, and the pooler with them",
        metavar="N",
        at_least=1,
    )
    unfreeze_every: int | None = model_flag(
        "gradual unfreezing: the head is trained first, and one more layer from the top every "
        "EPOCHS epochs",
        metavar="EPOCHS",
        at_least=1,
    )
    head: str | None = model_flag(
        "how the task's head begins: fitted to the encoder's output (a regression), or trained "
        "from random weights; fitted by default with --freeze encoder",
        choices=("fitted", "trained"),
    )
    pooling: str | None = model_flag(
        "what a text's head reads: the encoder's pooler, its [CLS], or the mean of its tokens, of "
        "the highest layer or of layer N (those above are dropped); a fitted head chooses",
        metavar="pooler|cls|mean|mean-N",
    )
    contrast: float | None = model_flag(
        "weight of supervised contrast beside the loss: texts of one label come together, others "
        "apart; for single texts of one label each",
        metavar="X",
        at_least=0,
    )
    print_layers: bool = model_flag(
        "print the learning rate of each part of the model, and do nothing else", default=False
    )
    dropout: float | None = model_flag(
        "dropout in training; by default 0.1 for texts and 0 for images", at_least=0, below=1
    )

    epochs: int | None = optimisation_flag(
        "passes over the training examples; the default depends on their number; 0 leaves it at a "
        "head that is fitted, as --freeze encoder does",
        metavar="N",
        at_least=0,
    )
    batch_size: int = optimisation_flag("examples in a batch", default=32, metavar="N", at_least=1)
    learning_rate: float | None = optimisation_flag(
        "peak learning rate of the encoder; the default depends on its size, and is 2e-3 with "
        "--freeze encoder --head trained",
        metavar="X",
        above=0,
    )
    head_learning_rate: float | None = optimisation_flag(
        "peak learning rate of the task head; by default that of the encoder", metavar="X", above=0
    )
    embedding_learning_rate: float | None = optimisation_flag(
        "peak learning rate of the word embeddings; by default that of the other embeddings",
        metavar="X",
        above=0,
    )
    layer_decay: float = optimisation_flag(
        "learning rate of each layer as a fraction of that of the layer above it",
        default=1.0,
        metavar="X",
        above=0,
        at_most=1,
    )
    warmup: float = fields.warmup(default=0.1)
    weight_decay: float = optimisation_flag(
        "weight decay of AdamW; not applied to biases and layer norms",
        default=0.01,
        metavar="X",
        at_least=0,
    )
    gradient_clip: float = fields.gradient_clip()
    class_weights: str | None = optimisation_flag(
        "how much the examples of each label count: balanced, so that all labels count the same, "
        "or a file of weights (a JSON object, or a table of labels and weights)",
        metavar="balanced|FILE",
    )
    sampling: str | None = optimisation_flag(
        "balanced: an epoch draws as many examples of each label, some of them repeatedly; by "
        "default it has each example once",
        choices=("balanced",),
    )

    seeds: int = run_flag(
        "runs with the seeds from --seed on; the result is their mean and standard deviation",
        default=1,
        metavar="K",
        at_least=1,
        at_most=100,
    )
    baselines: bool = run_flag(
        "measure what models without an encoder reach on the same examples: a bag of words, a bag "
        "of characters, word windows or pixels",
        default=True,
    )
    checkpoint_every: int | None = run_flag(
        "steps between checkpoints; by default one every few minutes", metavar="STEPS", at_least=1
    )
    seed: int = fields.seed()
    device: str = fields.device()
    precision: str = fields.precision()
    threads: int | None = fields.threads()

    @property
    def validation_share(self) -> float | None:
        """The share of the training examples to validate on; None if --validation is a file."""
        try:
            return float(self.validation)
        except ValueError:
            return None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_share is not None and not 0 < self.validation_share <= 0.5:
            raise UserError(
                f"--validation {self.validation}: a share must be above 0 and at most 0.5 (a file "
                f"of this name is ./{self.validation})"
            )
        if self.task not in TASKS:
            hint = closest(self.task.lower(), TASKS)
            raise UserError(f"TASK must be {' or '.join(TASKS)}, not {self.task!r}{hint}")
        labelled_data.refuse_unused(self, self.task)
        may_truncate = "long_text" not in labelled_data.unused_flags(self.task)
        if may_truncate and self.doc_stride is not None and self.long_text != "window":
            raise UserError("--doc-stride is for windows of longer texts: add --long-text window")
        labelled_data.check_label_separator(self.label_separator)
        if self.freeze is not None and not _is_freezable(self.freeze):
            raise UserError(
                f"--freeze takes encoder, embeddings or a number of layers, not {self.freeze!r}"
            )
        if self.freeze is not None and self.embedding_learning_rate is not None:
            raise UserError(
                "--embedding-learning-rate is for embeddings that learn: leave it out with --freeze"
            )
        if self.head == "fitted" and self.reinit_layers is not None:
            raise UserError(
                "--reinit-layers draws layers anew that --head fitted builds on: leave one out"
            )
        if self.freeze == "encoder":
            for name, is_given in (
                ("--unfreeze-every", self.unfreeze_every is not None),
                ("--reinit-layers", self.reinit_layers is not None),
                ("--layer-decay", self.layer_decay != 1),
            ):
                if is_given:
                    raise UserError(
                        f"{name} is for layers that learn: leave it out with --freeze encoder"
                    )


@dataclass(frozen=True, kw_only=True)
class ResolvedFinetuneSettings(FinetuneSettings):
    """Settings in which all that depends on the data and the encoder is chosen.

    The other fields that may be None are then either not used by the task or switched off.
    """

    epochs: int = dataclasses.field()
    learning_rate: float = dataclasses.field()
    head_learning_rate: float = dataclasses.field()
    dropout: float = dataclasses.field()
    head: str = "trained"  # the defaults are those of runs that began without these flags
    pooling: str = "pooler"
    contrast: float = 0.0


def _is_freezable(freeze: str) -> bool:
    return freeze in ("encoder", "embeddings") or (freeze.isdecimal() and int(freeze) >= 1)
