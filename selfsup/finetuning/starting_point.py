"""Where fine-tuning starts: from a pre-trained model, or from random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selfsup.encoder.huggingface.folder import load_weights
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.layers import initialize
from selfsup.tasks.base import Task, TaskModule
from selfsup.tasks.encoders import EncoderFamily
from selfsup.tasks.labels import Labels

# Weights that a note names at most.
_NAMED = 4


@dataclass(frozen=True)
class StartingPoint:
    """An encoder's sizes, its weights if it was pre-trained, and what makes examples ready for it.

    Attributes:
        family: what kind of encoder it is.
        config: sizes, with the dropout to train with.
        weights: under Hugging Face's names; None to start from random weights.
        name: what messages and the model card call it.
        preparation: as the family has it.
        left_out: weights of the folder that are not the encoder's, under Hugging Face's names.
    """

    family: EncoderFamily
    config: Any
    weights: dict[str, Tensor] | None
    name: str
    preparation: Any
    left_out: tuple[str, ...] = ()

    @property
    def is_pretrained(self) -> bool:
        return self.weights is not None

    def notes(self, task: Task) -> list[str]:
        """Which weights the model lacks, and which it has that the task has no use for."""
        if self.weights is None:
            return []
        with torch.device("meta"):  # for the names alone
            encoder = self.family.build_encoder(self.config, pooled=task.pooled)
        names = to_hugging_face(encoder.named_parameters(), self.family.encoder_names())
        expected = names.keys()
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
        encoder = self.family.build_encoder(config, pooled=task.pooled)
        model = task.build_model(encoder, labels, config.hidden_dropout_prob)
        if self.weights is None:
            initialize(model, config.initializer_range, seed)
        else:
            names = task.parameter_names()
            load_weights(model, self.weights, names, config.initializer_range, seed, self.name)
        return model


def encoder_weights(
    weights: dict[str, Tensor], family: EncoderFamily
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The encoder's weights of a model folder, and the names of all others.

    A head that the folder may hold is another task's, or the same one's under other labels.
    """
    encoder = {name: value for name, value in weights.items() if name.startswith(family.prefix)}
    return encoder, tuple(sorted(weights.keys() - encoder.keys()))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
