"""Where fine-tuning starts: from a pre-trained model, or from random weights.

``find_starting_point`` resolves ``--encoder``. Text encoders bring a tokenizer and limits on the
length of a text, image encoders the size and the normalisation of the images.
"""

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
from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.config import read_config, read_vit_config
from selfsup.encoder.huggingface.folder import (
    check_sizes,
    load_weights,
    read_weights,
    resolve_model_folder,
    tokenizer_of_model,
)
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.huggingface.vit_folder import (
    ImagePreparation,
    read_image_preparation,
    read_vit_weights,
    with_image_size,
)
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.images.files import median_shorter_side
from selfsup.pretraining.images.pretraining import fitting_image_size, fitting_patch_size
from selfsup.settings.finetune import FinetuneSettings
from selfsup.tasks.base import Task
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
from selfsup.tasks.models import TaskModule

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
        """Which weights the folder lacks, and which it has that the task does not use.

        A pooler counts as a head: many tasks have none.
        """
        if self.weights is None:
            return []
        with torch.device("meta"):  # only the names are needed
            encoder = self.family.build_encoder(self.config, pooled=task.pooled)
        names = self.family.encoder_names(self.config)
        expected = to_hugging_face(encoder.named_parameters(), names).keys()
        missing = sorted(expected - self.weights.keys())
        unexpected = sorted(self.weights.keys() - expected)
        others = [name for name in unexpected if ".pooler." not in name]
        notes = []
        if missing:
            notes.append(f"{self.name} lacks {_listed(missing)}: drawn at random")
        if self.left_out or len(others) < len(unexpected):
            notes.append(f"{self.name}: heads ignored, as usual")
        if others:
            notes.append(f"{self.name}: left out {_listed(others)}, of no use for this task")
        return notes

    def build_model(self, task: Task, labels: Labels, seed: int) -> TaskModule:
        """The encoder under a new head. The seed determines all weights that are new."""
        config = self.config
        encoder = self.family.build_encoder(config, pooled=task.pooled)
        model = task.build_model(encoder, labels, config.hidden_dropout_prob)
        if self.weights is None:
            initialize(model, config.initializer_range, seed)
        else:
            names = task.parameter_names(config)
            load_weights(model, self.weights, names, config.initializer_range, seed, self.name)
        return model


def find_starting_point(settings: FinetuneSettings, task: Task, train: Any) -> StartingPoint:
    """Load the encoder that ``--encoder`` names, a size or a folder.

    The training examples ``train`` decide what the flags leave open.

    Raises:
        UserError: there is no such model, it takes other inputs than the task's examples, or a
            flag does not fit it.
    """
    name, wanted, folder = settings.encoder, task.family, None
    family = next((family for family in FAMILIES if name in family.sizes), None)
    if family is None:
        if not Path(name).exists():
            raise UserError(
                f"--encoder {name}: no such model folder or run, and no size "
                f"({', '.join(wanted.sizes)})"
            )
        folder = resolve_model_folder(name)
        family = family_of_folder(folder)
    if family.takes != wanted.takes:
        raise UserError(
            f"--encoder {name}: takes {family.takes}, but {task.name} is learned from "
            f"{wanted.takes}: give such a model, or a size ({', '.join(wanted.sizes)})"
        )
    of_text = wanted.takes == "text"
    encoder, left_out = None, ()
    if folder is None:
        config, preparation = (_new_text_encoder if of_text else _new_vit)(settings, task, train)
    else:
        load = _load_text_encoder if of_text else _load_vit
        config, preparation, weights = load(settings, task, folder)
        check_sizes(
            lambda: wanted.build_encoder(config, pooled=task.pooled),
            weights,
            wanted.encoder_names(config),
            folder,
        )
        prefix = wanted.prefix(config)
        encoder = {key: value for key, value in weights.items() if key.startswith(prefix)}
        left_out = tuple(sorted(weights.keys() - encoder.keys()))
        name = str(folder)
    dropout = settings.dropout
    if dropout is None:
        dropout = _BERT_DROPOUT if of_text else 0.0
    config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    return StartingPoint(wanted, config, encoder, name, preparation, left_out)


def _new_text_encoder(
    settings: FinetuneSettings, task: Task, train: Any
) -> tuple[EncoderConfig, TextPreparation]:
    """Use the tokenizer of ``--tokenizer``, or else train one on the training texts."""
    if settings.tokenizer is None:
        folder = None
        tokenizer = train_tokenizer(train.texts(), vocab_size=_VOCAB_SIZE, allow_fewer=True)
    else:
        folder = Path(settings.tokenizer)
        tokenizer = load_tokenizer(folder)
    config = bert_config(settings.encoder, vocabulary_size(tokenizer))
    limits = _limits(settings, task, config, settings.encoder)
    return config, TextPreparation(tokenizer, limits, folder)


def _load_text_encoder(
    settings: FinetuneSettings, task: Task, folder: Path
) -> tuple[EncoderConfig, TextPreparation, dict[str, Tensor]]:
    if settings.tokenizer is not None:
        raise UserError(
            f"--tokenizer {settings.tokenizer}: {settings.encoder} brings its own "
            "tokenizer; leave this flag out"
        )
    config, _ = read_config(folder)
    tokenizer = tokenizer_of_model(folder, config)
    if text_family(config).needs_segments and config.type_vocab_size < task.segments:
        raise UserError(
            f"{folder}: tells no two segments apart (type_vocab_size "
            f"{config.type_vocab_size}), as {task.name} needs: give another model"
        )
    limits = _limits(settings, task, config, str(folder))
    return config, TextPreparation(tokenizer, limits, folder), read_weights(folder)


def _limits(settings: FinetuneSettings, task: Task, config: EncoderConfig, name: str) -> Limits:
    """How many tokens a text may have, and what happens to a longer one.

    Raises:
        UserError: ``--max-length`` exceeds the encoder's positions, or ``--doc-stride`` half of a
            window.
    """
    available = config.longest_sequence
    max_length = settings.max_length or min(task.default_max_length, available)
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


def _new_vit(
    settings: FinetuneSettings, task: Task, train: Any
) -> tuple[VitConfig, ImagePreparation]:
    """Use the sizes of the flags, or else sizes that fit the images.

    Raises:
        UserError: the patch size does not divide the image size, or is more than half of it.
    """
    size, patch = settings.image_size, settings.patch_size
    if size is None:
        size, patch = fitting_image_size(median_shorter_side(train.files), patch)
    elif patch is None:
        patch = fitting_patch_size(size)
    if size < 2 * patch:
        raise UserError(
            f"--patch-size {patch}: an image of {size} × {size} pixels has no room for 2 × 2 "
            "such patches: give a smaller one, or a larger --image-size"
        )
    try:
        config = vit_config(settings.encoder, size, patch)
    except UserError as error:
        raise UserError(f"--image-size, --patch-size: {error}") from None
    return config, ImagePreparation(size, patch, mirror=settings.mirror)


def _load_vit(
    settings: FinetuneSettings, task: Task, folder: Path
) -> tuple[VitConfig, ImagePreparation, dict[str, Tensor]]:
    """Interpolate the position embeddings if ``--image-size`` differs from the model's size."""
    config, _ = read_vit_config(folder)
    if settings.patch_size not in (None, config.patch_size):
        raise UserError(
            f"--patch-size {settings.patch_size}: {settings.encoder} was trained with patches of "
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


def _listed(names: Sequence[str]) -> str:
    hidden = len(names) - _MAX_NAMES_LISTED
    more = f" and {hidden} more" if hidden > 0 else ""
    return ", ".join(names[:_MAX_NAMES_LISTED]) + more
