"""What a pre-trained model answers: at the hidden tokens, about a pair, about a picture.

Shapes: T tokens of a sequence, M chosen tokens, V vocabulary.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.config import read_model_type
from selfsup.encoder.huggingface.folder import resolve_model_folder, tokenizer_of_model
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError
from selfsup.pretraining.images.model import ImagePretrainingModel, load_image_pretraining
from selfsup.pretraining.text.model import TextPretrainingModel, load_pretraining, text_objectives
from selfsup.settings.objectives import IMAGE_OBJECTIVES, TEXT_OBJECTIVES

_TOP = 5
# How the names of a head's weights begin in a model folder.
_IMAGE_HEADS = {name: (f"{name}.",) for name in IMAGE_OBJECTIVES}


def load_model(path: str) -> "TextModel | ImagePretrainingModel":
    """A pre-trained model of text or of images, with the heads that it has learned.

    Raises:
        UserError: it cannot be read, or has no head of pre-training.
    """
    folder = resolve_model_folder(path)
    if read_model_type(folder) != "vit":
        return TextModel(folder)
    model, missing = load_image_pretraining(folder, IMAGE_OBJECTIVES)
    learned = _learned(_IMAGE_HEADS, missing, folder)
    for name in set(IMAGE_OBJECTIVES).difference(learned):
        del model.heads[name]
    return model


def _learned(
    heads: Mapping[str, tuple[str, ...]], missing: Iterable[str], folder: Path
) -> list[str]:
    """The objectives whose heads the folder has.

    ``heads`` says of each objective how the names of its head's weights begin, ``missing`` are the
    names that the folder lacks.

    Raises:
        UserError: there is none.
    """
    learned = [
        name
        for name, parts in heads.items()
        if not any(weight.startswith(parts) for weight in missing)
    ]
    if not learned:
        raise UserError(
            f"--model {folder}: is no pre-trained model, as it has no head of an objective: give "
            "the folder that `selfsup pretrain` wrote"
        )
    return learned


class TextModel:
    """A pre-trained model of text, its tokenizer, and the objectives that it has learned."""

    def __init__(self, folder: Path) -> None:
        """Load it.

        Raises:
            UserError: it cannot be read, or has no head of pre-training.
        """
        self.model, missing = load_pretraining(folder, TEXT_OBJECTIVES)
        config = self.model.encoder.config
        heads = {
            objective.name: tuple(
                f"{name}."
                for names in objective.weight_names(text_family(config)).values()
                for name in names
            )
            for objective in text_objectives(TEXT_OBJECTIVES)
        }
        self.learned = _learned(heads, missing, folder)
        self.tokenizer: Tokenizer = tokenizer_of_model(folder, config)

    @property
    def longest(self) -> int:
        """The most tokens that it takes."""
        return self.model.encoder.config.longest_sequence

    def at(self, seen: np.ndarray, rows: np.ndarray, answers: np.ndarray) -> list[dict[str, Any]]:
        """For each chosen position the probability of the right answer, and the best guesses.

        Args:
            seen: what the model reads, int64 [T].
            rows: the chosen positions, int64 [M].
            answers: the right ids, int64 [M].
        """
        states = _encode(self.model, seen, np.zeros_like(seen)).last_hidden_state
        with torch.inference_mode():
            scores = self.model.heads["mlm"](states[torch.from_numpy(rows)])
        probabilities = scores.softmax(-1).numpy()  # [M, V]
        return [
            {
                "probability": float(row[answer]),
                "guesses": [
                    (self.tokenizer.id_to_token(int(token)) or "", float(row[token]))
                    for token in np.argsort(-row, kind="stable")[:_TOP]
                ],
            }
            for row, answer in zip(probabilities, answers, strict=True)
        ]

    def follows(self, input_ids: np.ndarray, segments: np.ndarray) -> float:
        """The probability that B follows A; the arguments are int64 [T]."""
        pooled = _encode(self.model, input_ids, segments).pooler_output
        with torch.inference_mode():
            return float(self.model.heads["nsp"](pooled).softmax(-1)[0, 0])


def _encode(model: TextPretrainingModel, ids: np.ndarray, segments: np.ndarray):
    packing = Packing.from_lengths(torch.tensor([len(ids)]))
    with torch.inference_mode():
        return model.encoder(torch.from_numpy(ids), torch.from_numpy(segments), packing)
