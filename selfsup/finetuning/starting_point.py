"""Where fine-tuning starts: from a pre-trained model, or from random weights.

``find_starting_point`` resolves ``--encoder``. Text encoders bring a tokenizer and limits on the
length of a text, image encoders the size and the normalisation of the images.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.encoder.config import EncoderConfig, VitConfig, bert_config, vit_config
from selfsup.encoder.huggingface.config import read_config, read_vit_config
from selfsup.encoder.huggingface.folder import (
    load_weights,
    read_weights,
    resolve_model_folder,
    tokenizer_of_model,
)
from selfsup.encoder.huggingface.image_processor import ImagePreparation, read_image_preparation
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.huggingface.vit_folder import read_vit_weights, with_image_size
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.images.files import median_shorter_side
from selfsup.pretraining.images.pretraining import fitting_image_size, fitting_patch_size
from selfsup.settings import FinetuneSettings
from selfsup.tasks.base import Task, TaskModule
from selfsup.tasks.encoders import (
    DEFAULT_MAX_ANSWER_LENGTH,
    FAMILIES,
    EncoderFamily,
    Limits,
    LongText,
    TextPreparation,
    default_doc_stride,
    family_of_folder,
)
from selfsup.tasks.labels import Labels

# A note lists at most this many names of weights.
_MAX_NAMES_LISTED = 4
# Size of the vocabulary when a tokenizer is trained on the labelled texts alone.
_VOCAB_SIZE = 8192
_BERT_DROPOUT = 0.1


@dataclass(frozen=True)
class StartingPoint:
    """An encoder's sizes, its weights if it is pre-trained, and how examples are prepared for it.

    Attributes:
        family: the family of encoders that it belongs to.
        config: its sizes, with the dropout to train with.
        weights: under Hugging Face's names; None to start from random weights.
        name: what messages and the model card call it.
        preparation: turns examples into its inputs; the type depends on the family.
        left_out: weights of the model folder that are not the encoder's, under Hugging Face's
            names. A head in the folder belongs to another task, or to other labels.
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
        """Which weights the folder lacks, and which it has that the task does not use."""
        if self.weights is None:
            return []
        with torch.device("meta"):  # only the names are needed
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
        """The encoder under a new head. The seed determines all weights that are new."""
        config = self.config
        encoder = self.family.build_encoder(config, pooled=task.pooled)
        model = task.build_model(encoder, labels, config.hidden_dropout_prob)
        if self.weights is None:
            initialize(model, config.initializer_range, seed)
        else:
            names = task.parameter_names()
            load_weights(model, self.weights, names, config.initializer_range, seed, self.name)
        return model


def find_starting_point(settings: FinetuneSettings, task: Task, train: Any) -> StartingPoint:
    """Load the encoder that ``--encoder`` names, a size or a folder.

    Args:
        settings: names the encoder, and says how to prepare its inputs.
        task: the task to learn.
        train: the training examples; they decide what the flags leave open.

    Raises:
        UserError: there is no such model, it takes other inputs than the task's examples, or a
            flag does not fit it.
    """
    encoder, wanted = settings.encoder, task.family
    maker = _MAKERS[wanted.takes](settings, task, train)
    for family in FAMILIES:
        if encoder in family.sizes:
            _check_takes(settings, family.takes, task)
            return maker.from_random_weights()
    if not Path(encoder).exists():
        raise UserError(
            f"--encoder {encoder}: no such model folder or run, and no size "
            f"({', '.join(wanted.sizes)})"
        )
    folder = resolve_model_folder(encoder)
    _check_takes(settings, family_of_folder(folder).takes, task)
    return maker.from_model(folder)


class _StartMaker(ABC):
    """Makes the starting point for one family of encoders.

    Args:
        settings: names the encoder, and says how to prepare its inputs.
        task: the task to learn.
        train: the training examples.
    """

    def __init__(self, settings: FinetuneSettings, task: Task, train: Any) -> None:
        self.settings, self.task, self.train = settings, task, train

    @property
    @abstractmethod
    def dropout(self) -> float:
        """The dropout to train with."""

    @abstractmethod
    def new(self) -> tuple[Any, Any]:
        """Sizes of an encoder with random weights, and how examples are prepared for it.

        Raises:
            UserError: a flag does not fit the encoder.
        """

    @abstractmethod
    def load(self, folder: Path) -> tuple[Any, Any, dict[str, Tensor]]:
        """Sizes of a pre-trained encoder, how examples are prepared for it, and all its weights.

        Raises:
            UserError: the folder is damaged, or a flag does not fit the model.
        """

    def from_random_weights(self) -> StartingPoint:
        """Start from an encoder of a named size. Raises what ``new`` raises."""
        config, preparation = self.new()
        return StartingPoint(self.task.family, config, None, self.settings.encoder, preparation)

    def from_model(self, folder: Path) -> StartingPoint:
        """Start from the pre-trained model in a folder. Raises what ``load`` raises."""
        config, preparation, weights = self.load(folder)
        config = replace(
            config, hidden_dropout_prob=self.dropout, attention_probs_dropout_prob=self.dropout
        )
        family = self.task.family
        encoder = {name: value for name, value in weights.items() if name.startswith(family.prefix)}
        left_out = tuple(sorted(weights.keys() - encoder.keys()))
        return StartingPoint(family, config, encoder, str(folder), preparation, left_out)


class _TextStart(_StartMaker):
    """A BERT and its tokenizer."""

    @property
    def dropout(self) -> float:
        return _BERT_DROPOUT if self.settings.dropout is None else self.settings.dropout

    def new(self) -> tuple[EncoderConfig, TextPreparation]:
        """Use the tokenizer of ``--tokenizer``, or else train one on the training texts."""
        name, folder = self.settings.encoder, self.settings.tokenizer
        if folder is None:
            texts = self.train.texts()
            tokenizer = train_tokenizer(texts, vocab_size=_VOCAB_SIZE, allow_fewer=True)
        else:
            tokenizer = load_tokenizer(folder)
        config = bert_config(name, vocabulary_size(tokenizer), self.dropout)
        limits = self._limits(config, name)
        return config, TextPreparation(tokenizer, limits, None if folder is None else Path(folder))

    def load(self, folder: Path) -> tuple[EncoderConfig, TextPreparation, dict[str, Tensor]]:
        if self.settings.tokenizer is not None:
            raise UserError(
                f"--tokenizer {self.settings.tokenizer}: {self.settings.encoder} brings its own "
                "tokenizer; leave this flag out"
            )
        config, _ = read_config(folder)
        tokenizer = tokenizer_of_model(folder, config)
        if config.type_vocab_size < self.task.segments:
            raise UserError(
                f"{folder}: tells no two segments apart (type_vocab_size "
                f"{config.type_vocab_size}), as {self.task.name} needs: give another model"
            )
        limits = self._limits(config, str(folder))
        return config, TextPreparation(tokenizer, limits, folder), read_weights(folder)

    def _limits(self, config: EncoderConfig, name: str) -> Limits:
        """How many tokens a text may have, and what happens to a longer one.

        Raises:
            UserError: ``--max-length`` exceeds the encoder's positions, or ``--doc-stride`` half
                of a window.
        """
        settings, available = self.settings, config.max_position_embeddings
        default = self.task.default_max_length
        max_length = settings.max_length or min(default, available)
        if max_length > available:
            raise UserError(
                f"--max-length {max_length}: {name} has positions for {available} tokens at most"
            )
        doc_stride = settings.doc_stride
        if doc_stride is None:
            doc_stride = default_doc_stride(max_length)
        elif doc_stride > max_length // 2:
            raise UserError(
                f"--doc-stride {doc_stride}: windows of {max_length} tokens can share "
                f"{max_length // 2} at most"
            )
        return Limits(
            max_length,
            doc_stride,
            cast(LongText, settings.long_text or "truncate"),
            settings.max_answer_length or DEFAULT_MAX_ANSWER_LENGTH,
        )


class _ImageStart(_StartMaker):
    """A ViT, and the size and normalisation of its images."""

    @property
    def dropout(self) -> float:
        return self.settings.dropout or 0.0

    def new(self) -> tuple[VitConfig, ImagePreparation]:
        """Use the sizes of the flags, or else sizes that fit the images.

        Raises:
            UserError: the patch size does not divide the image size, or is more than half of it.
        """
        settings, size, patch = self.settings, self.settings.image_size, self.settings.patch_size
        if size is None:
            size, patch = fitting_image_size(median_shorter_side(self.train.files), patch)
        elif patch is None:
            patch = fitting_patch_size(size)
        if size < 2 * patch:
            raise UserError(
                f"--patch-size {patch}: an image of {size} × {size} pixels has no room for 2 × 2 "
                "such patches: give a smaller one, or a larger --image-size"
            )
        try:
            config = vit_config(settings.encoder, size, patch, self.dropout)
        except UserError as error:
            raise UserError(f"--image-size, --patch-size: {error}") from None
        return config, ImagePreparation(size, patch, mirror=settings.mirror)

    def load(self, folder: Path) -> tuple[VitConfig, ImagePreparation, dict[str, Tensor]]:
        """Interpolate the position embeddings if ``--image-size`` differs from the model's size."""
        settings = self.settings
        config, _ = read_vit_config(folder)
        patch = settings.patch_size
        if patch not in (None, config.patch_size):
            raise UserError(
                f"--patch-size {patch}: {settings.encoder} was trained with patches of "
                f"{config.patch_size} pixels; leave this flag out"
            )
        preparation = read_image_preparation(folder, config)
        weights = read_vit_weights(folder)
        try:
            config, weights = with_image_size(config, weights, settings.image_size)
        except UserError as error:
            raise UserError(f"--image-size {settings.image_size}: {error}") from None
        size = config.image_size
        return config, replace(preparation, image_size=size, mirror=settings.mirror), weights


# By what the encoders of a family take as input.
_MAKERS: dict[str, type[_StartMaker]] = {"text": _TextStart, "images": _ImageStart}


def _check_takes(settings: FinetuneSettings, takes: str, task: Task) -> None:
    wanted = task.family
    if takes != wanted.takes:
        raise UserError(
            f"--encoder {settings.encoder}: takes {takes}, but {task.name} is learned from "
            f"{wanted.takes}: give such a model, or a size ({', '.join(wanted.sizes)})"
        )


def _listed(names: Sequence[str]) -> str:
    hidden = len(names) - _MAX_NAMES_LISTED
    more = f" and {hidden} more" if hidden > 0 else ""
    return ", ".join(names[:_MAX_NAMES_LISTED]) + more
