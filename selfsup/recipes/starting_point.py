"""Where fine-tuning starts: from a pre-trained model, or from random weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from selfsup.corpus.wordpiece import load_tokenizer, save_tokenizer, train_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import BERT_SIZES, EncoderConfig, bert_config
from selfsup.encoder.config_file import read_config
from selfsup.encoder.initialization import initialize
from selfsup.encoder.model_folder import encoder_state, load_weights, read_weights
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.errors import UserError
from selfsup.tasks.labels import Labels
from selfsup.tasks.task import Task, TaskModule

# Of a tokenizer that is trained on the labelled texts alone.
_VOCAB_SIZE = 8192
# Weights that a note names at most.
_NAMED = 4


@dataclass(frozen=True)
class StartingPoint:
    """An encoder's sizes, its weights if it was pre-trained, and its tokenizer.

    Attributes:
        config: sizes, with the dropout to train with.
        weights: under Hugging Face's names; None to start from random weights.
        name: what messages and the model card call it.
        tokenizer: for its texts.
        tokenizer_folder: where the tokenizer lies; None if it was trained just now.
        left_out: weights of the folder that are not the encoder's, under Hugging Face's names.
    """

    config: EncoderConfig
    weights: dict[str, Tensor] | None
    name: str
    tokenizer: Tokenizer
    tokenizer_folder: Path | None
    left_out: tuple[str, ...] = ()

    @property
    def is_pretrained(self) -> bool:
        return self.weights is not None

    def notes(self, task: Task) -> list[str]:
        """Which weights the model lacks, and which it has that the task has no use for."""
        if self.weights is None:
            return []
        with torch.device("meta"):  # for the names alone
            encoder = BertEncoder(self.config, pooled=task.POOLED)
        expected = encoder_state(encoder).keys()
        missing = sorted(expected - self.weights.keys())
        unexpected = sorted({*self.left_out, *self.weights} - expected)
        notes = []
        if missing:
            notes.append(f"{self.name} lacks {_listed(missing)}: drawn at random")
        if unexpected:
            notes.append(f"{self.name}: left out {_listed(unexpected)}, of no use for this task")
        return notes

    def build_model(self, task: Task, labels: Labels, seed: int) -> TaskModule:
        """The encoder under a new head; what is new is a function of the seed."""
        config = self.config
        encoder = BertEncoder(config, pooled=task.POOLED)
        model = task.build_model(encoder, labels, config.hidden_dropout_prob)
        if self.weights is None:
            initialize(model, config.initializer_range, seed)
        else:
            names = task.parameter_names()
            load_weights(model, self.weights, names, config.initializer_range, seed, self.name)
        return model


def find_starting_point(
    encoder: str, tokenizer: str | None, dropout: float, texts: Sequence[str]
) -> StartingPoint:
    """Load what ``--encoder`` names.

    Args:
        encoder: one of ``BERT_SIZES``, a model folder or a run folder.
        tokenizer: a tokenizer folder for an encoder given by name; if None, a tokenizer is trained.
        dropout: in the encoder and before the head.
        texts: to train a tokenizer on.

    Raises:
        UserError: there is no such model, or it does not go with the tokenizer.
    """
    if encoder in BERT_SIZES:
        return _from_random_weights(encoder, tokenizer, dropout, texts)
    if tokenizer is not None:
        raise UserError(
            f"--tokenizer {tokenizer}: {encoder} brings its own tokenizer; leave this flag out"
        )
    if not Path(encoder).exists():
        raise UserError(
            f"--encoder {encoder}: no such model folder or run, and no size "
            f"({', '.join(BERT_SIZES)})"
        )
    return _from_model_folder(resolve_model_folder(encoder), dropout)


def tokenizer_folder(start: StartingPoint, run: Path) -> Path:
    """The folder of the tokenizer, which is first written to the run if it lies nowhere yet."""
    if start.tokenizer_folder is not None:
        return start.tokenizer_folder
    save_tokenizer(start.tokenizer, run / "tokenizer")
    return run / "tokenizer"


def _from_random_weights(
    name: str, tokenizer_folder: str | None, dropout: float, texts: Sequence[str]
) -> StartingPoint:
    if tokenizer_folder is None:
        tokenizer = train_tokenizer(texts, vocab_size=_VOCAB_SIZE, allow_fewer=True)
    else:
        tokenizer = load_tokenizer(tokenizer_folder)
    config = bert_config(name, tokenizer.get_vocab_size(), dropout)
    folder = None if tokenizer_folder is None else Path(tokenizer_folder)
    return StartingPoint(config, None, name, tokenizer, folder)


def _from_model_folder(folder: Path, dropout: float) -> StartingPoint:
    config, _ = read_config(folder)
    tokenizer = load_tokenizer(folder)
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise UserError(
            f"{folder}: its tokenizer has {tokenizer.get_vocab_size()} tokens, its model "
            f"{config.vocab_size}: they do not belong together"
        )
    config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    weights = read_weights(folder)
    # A head that the folder may hold is another task's, or the same one's under other labels.
    encoder = {name: tensor for name, tensor in weights.items() if name.startswith("bert.")}
    left_out = tuple(sorted(weights.keys() - encoder.keys()))
    return StartingPoint(config, encoder, str(folder), tokenizer, folder, left_out)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
