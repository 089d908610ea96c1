"""Where a task on texts starts: from a BERT with its tokenizer, or from random weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from selfsup.corpus.tokenizer.added_tokens import vocabulary_size
from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.wordpiece import train_tokenizer
from selfsup.encoder.config import EncoderConfig, bert_config
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import (
    read_weights,
    resolve_model_folder,
    tokenizer_of_model,
)
from selfsup.errors import UserError
from selfsup.finetuning.starting_point import StartingPoint, encoder_weights
from selfsup.settings import FinetuneSettings
from selfsup.tasks.base import Task
from selfsup.tasks.encoders import (
    DEFAULT_MAX_ANSWER_LENGTH,
    TEXT_ENCODERS,
    Limits,
    LongText,
    TextPreparation,
    default_doc_stride,
)

# Of a tokenizer that is trained on the labelled texts alone.
_VOCAB_SIZE = 8192
_DROPOUT = 0.1  # as in BERT


def from_random_weights(settings: FinetuneSettings, task: Task, train: Any) -> StartingPoint:
    """An encoder by name, with the tokenizer that ``--tokenizer`` names, or one of these texts."""
    name, folder = settings.encoder, settings.tokenizer
    if folder is None:
        tokenizer = train_tokenizer(train.texts(), vocab_size=_VOCAB_SIZE, allow_fewer=True)
    else:
        tokenizer = load_tokenizer(folder)
    config = bert_config(name, vocabulary_size(tokenizer), _dropout(settings))
    limits = _limits(settings, task, config, name)
    preparation = TextPreparation(tokenizer, limits, None if folder is None else Path(folder))
    return StartingPoint(TEXT_ENCODERS, config, None, name, preparation)


def from_model(settings: FinetuneSettings, task: Task, train: Any) -> StartingPoint:
    """A pre-trained encoder and its tokenizer.

    Raises:
        UserError: there is no such model, it does not go with its tokenizer, or a flag asks for
            another one or for more positions than it has.
    """
    if settings.tokenizer is not None:
        raise UserError(
            f"--tokenizer {settings.tokenizer}: {settings.encoder} brings its own tokenizer; leave "
            "this flag out"
        )
    folder = resolve_model_folder(settings.encoder)
    config, _ = read_config(folder)
    tokenizer = tokenizer_of_model(folder, config)
    if config.type_vocab_size < task.segments:
        raise UserError(
            f"{folder}: tells no two segments apart (type_vocab_size {config.type_vocab_size}), as "
            f"{task.name} needs: give another model"
        )
    dropout = _dropout(settings)
    config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    weights, left_out = encoder_weights(read_weights(folder), TEXT_ENCODERS)
    limits = _limits(settings, task, config, str(folder))
    preparation = TextPreparation(tokenizer, limits, folder)
    return StartingPoint(TEXT_ENCODERS, config, weights, str(folder), preparation, left_out)


def _dropout(settings: FinetuneSettings) -> float:
    return _DROPOUT if settings.dropout is None else settings.dropout


def _limits(settings: FinetuneSettings, task: Task, config: EncoderConfig, name: str) -> Limits:
    """How long a text may be.

    Raises:
        UserError: longer than the encoder has positions for.
    """
    most = config.max_position_embeddings
    max_length = settings.max_length or min(task.default_max_length, most)
    if max_length > most:
        raise UserError(
            f"--max-length {max_length}: {name} has positions for {most} tokens at most"
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
