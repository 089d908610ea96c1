"""Settings of fine-tuning on a labelled task."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.settings import fields as machine
from selfsup.settings import labelled_data as task_flags
from selfsup.settings.fields import argument, check_values, flag
from selfsup.settings.labelled_data import TASKS


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """Teach an encoder a task from labelled examples.

    With --encoder NAME (bert-mini, …) instead of a model folder the encoder starts from random
    weights: the comparison that shows what pre-training is worth.

    Example:
      selfsup finetune sequence-classification --encoder runs/mine \\
          --train train.tsv --validation dev.tsv --out runs/task
    """

    task: str = argument("the task: " + ", ".join(TASKS), metavar="TASK")
    encoder: str = flag(
        "pre-trained model folder, or a size such as bert-mini or vit-tiny to start from random "
        "weights",
        group="Model",
        metavar="MODEL|NAME",
    )
    train: str = flag(
        "labelled examples to learn from; images in a folder for each class",
        group="Data",
        metavar="FILE",
    )
    validation: str = flag("labelled examples to measure with", group="Data", metavar="FILE")
    out: str = flag("run folder to write to", group="Run", metavar="RUN")

    text_column: str | None = task_flags.text_column()
    text_pair_column: str | None = task_flags.text_pair_column()
    label_column: str | None = task_flags.label_column()
    label_type: str | None = flag(
        "whether a text has one label, several, or a number; by the labels if not given",
        default=None,
        group="Data",
        choices=("class", "multi", "number"),
    )
    label_separator: str | None = task_flags.label_separator()
    max_bad_fraction: float = task_flags.max_bad_fraction()

    tokenizer: str | None = flag(
        "folder of the tokenizer for an encoder given by name; "
        "one is trained on the texts if not given",
        default=None,
        group="Model",
        metavar="DIR",
    )
    max_length: int | None = flag(
        "longest sequence; 128, or 384 for question-answering, if not given",
        default=None,
        group="Model",
        metavar="TOKENS",
        at_least=8,
        at_most=512,
    )
    long_text: str | None = flag(
        "a text that is longer: truncate it (as if not given), or average over windows of it",
        default=None,
        group="Model",
        choices=("truncate", "window"),
    )
    doc_stride: int | None = flag(
        "tokens that a window of a longer text shares with the next; a third if not given",
        default=None,
        group="Model",
        metavar="TOKENS",
        at_least=0,
    )
    max_answer_length: int | None = task_flags.max_answer_length()
    image_size: int | None = flag(
        "side of the squares that images are brought to; the model's own, or by the images, if not "
        "given",
        default=None,
        group="Model",
        metavar="PIXELS",
        at_least=8,
        at_most=2048,
    )
    patch_size: int | None = flag(
        "side of the patches of an encoder given by name; by the images if not given",
        default=None,
        group="Model",
        metavar="PIXELS",
        at_least=1,
        at_most=256,
    )
    mirror: bool = flag(
        "whether half of the images to learn from are mirrored; not for digits, or images of text",
        default=True,
        group="Model",
    )
    freeze: str | None = flag(
        "what stays as it was pre-trained: encoder, embeddings, or "
        "embeddings and the first N layers",
        default=None,
        group="Model",
        metavar="encoder|embeddings|N",
    )
    reinit_layers: int | None = flag(
        "draw the highest N layers and the pooler anew, as before pre-training",
        default=None,
        group="Model",
        metavar="N",
        at_least=1,
    )
    unfreeze_every: int | None = flag(
        "gradual unfreezing: the head learns first, and after every so many epochs one more layer "
        "from the top",
        default=None,
        group="Model",
        metavar="EPOCHS",
        at_least=1,
    )
    print_layers: bool = flag(
        "print how each part of the model would learn, and do nothing else",
        default=False,
        group="Model",
    )
    dropout: float | None = flag(
        "dropout while it learns; 0.1 for texts, 0 for images, if not given",
        default=None,
        group="Model",
        at_least=0,
        below=1,
    )

    epochs: int | None = flag(
        "times to go through the training examples; by their number, or 20 with --freeze encoder, "
        "if not given",
        default=None,
        group="Optimisation",
        metavar="N",
        at_least=1,
    )
    batch_size: int = flag(
        "examples in a step", default=32, group="Optimisation", metavar="N", at_least=1
    )
    learning_rate: float | None = flag(
        "highest learning rate of the encoder; by its size, or 2e-3 with --freeze encoder, if not "
        "given",
        default=None,
        group="Optimisation",
        metavar="X",
        above=0,
    )
    head_learning_rate: float | None = flag(
        "highest learning rate of the new head; the encoder's if not given",
        default=None,
        group="Optimisation",
        metavar="X",
        above=0,
    )
    embedding_learning_rate: float | None = flag(
        "highest learning rate of the word embeddings; that of the other embeddings if not given",
        default=None,
        group="Optimisation",
        metavar="X",
        above=0,
    )
    layer_decay: float = flag(
        "each layer's learning rate as a share of the one above it",
        default=1.0,
        group="Optimisation",
        metavar="X",
        above=0,
        at_most=1,
    )
    warmup: float = flag(
        "share of the run in which the learning rate rises",
        default=0.1,
        group="Optimisation",
        at_least=0,
        below=1,
    )
    weight_decay: float = flag(
        "AdamW's weight decay; none on biases and norms",
        default=0.01,
        group="Optimisation",
        metavar="X",
        at_least=0,
    )
    gradient_clip: float = flag(
        "longest gradient that a step may take (its 2-norm)",
        default=1.0,
        group="Optimisation",
        metavar="X",
        above=0,
    )

    seeds: int = flag(
        "runs to make, from --seed on; the result is their mean and standard deviation",
        default=1,
        group="Run",
        metavar="K",
        at_least=1,
        at_most=100,
    )
    seed: int = machine.seed()
    device: str = machine.device()
    precision: str = machine.precision()
    threads: int | None = machine.threads()

    def __post_init__(self) -> None:
        check_values(self)
        if self.task not in TASKS:
            raise UserError(f"TASK must be {' or '.join(TASKS)}, not {self.task!r}")
        task_flags.refuse_unused(self, self.task)
        task_flags.check_doc_stride(self.task, self.doc_stride, self.long_text)
        task_flags.check_label_separator(self.label_separator)
        if self.freeze is not None and not _is_freezable(self.freeze):
            raise UserError(
                f"--freeze takes encoder, embeddings or a number of layers, not {self.freeze!r}"
            )
        if self.freeze is not None and self.embedding_learning_rate is not None:
            raise UserError(
                "--embedding-learning-rate is for embeddings that learn: leave it out with --freeze"
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


def _is_freezable(freeze: str) -> bool:
    return freeze in ("encoder", "embeddings") or (freeze.isdecimal() and int(freeze) >= 1)
