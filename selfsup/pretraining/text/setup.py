"""What suits an encoder, where the user of ``selfsup pretrain`` says nothing."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.encoder.config import BERT_SIZES, bert_config
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError
from selfsup.pretraining.kind import USUAL_ENCODER
from selfsup.pretraining.setup import Setup
from selfsup.pretraining.text.data import TOKENIZER, check_data, pretraining_shards
from selfsup.pretraining.text.extend_vocabulary import read_report
from selfsup.pretraining.text.folder import build_model, save_pretraining
from selfsup.pretraining.text.held_out import HeldOut, HeldOutResult, unigram_loss
from selfsup.pretraining.text.masked_lm import Masking
from selfsup.pretraining.text.model import TextBatches, TextPreTraining
from selfsup.pretraining.text.sequences import (
    TextCorpus,
    continuation_pieces,
    special_tokens,
    split_held_out,
)
from selfsup.runs.model_cards import pretraining_card
from selfsup.settings import PretrainSettings
from selfsup.settings.pretrain import DEFAULT_BUDGET, TEXT_OBJECTIVES, filled_in
from selfsup.shards.folder import shards_sha256
from selfsup.shards.tokens import Shards
from selfsup.training.loop import Stage


@dataclass(frozen=True)
class SizeDefaults:
    """What suits an encoder of a size, where the user says nothing.

    The small ones are meant for minutes to hours on a laptop; bert-mini's were measured
    (docs/log.md), the others' go by it. The large ones are as in BERT's paper (appendix A.2).
    """

    batch_size: int
    learning_rate: float
    dropout: float
    start: str
    optimizer: str = "adamw"


_SIZE_DEFAULTS = {
    "bert-tiny": SizeDefaults(16, 2e-3, 0.0, "structured"),
    "bert-mini": SizeDefaults(32, 1e-3, 0.0, "structured", "muon"),
    "bert-small": SizeDefaults(16, 7e-4, 0.0, "structured"),
    "bert-medium": SizeDefaults(32, 5e-4, 0.0, "structured"),
    "bert-base": SizeDefaults(256, 1e-4, 0.1, "random"),
    "bert-large": SizeDefaults(256, 1e-4, 0.1, "random"),
}


def with_defaults(settings: PretrainSettings) -> PretrainSettings:
    """Replace what was left open by what suits the encoder.

    Raises:
        UserError: flags that do not go together, or an unknown encoder.
    """
    encoder = settings.encoder or USUAL_ENCODER["text"]
    if settings.init is None:
        bert_config(encoder, 1)  # raises where there is none, and names those there are
        size = _SIZE_DEFAULTS[encoder]
    else:
        size = _size_to_go_on_from(settings)
        if settings.start == "structured":
            raise UserError("--start structured is for new weights: leave it out with --init")
    if settings.short_length is None and settings.short_share != PretrainSettings.short_share:
        raise UserError(
            f"--short-share {settings.short_share}: goes with --short-length: give both"
        )
    if settings.short_length is not None and settings.short_length >= settings.max_length:
        raise UserError(
            f"--short-length {settings.short_length} must be below --max-length "
            f"{settings.max_length}"
        )
    return filled_in(
        settings,
        encoder=None if settings.init is not None else encoder,
        objectives=TEXT_OBJECTIVES,
        budget=DEFAULT_BUDGET if settings.steps is None else None,
        batch_size=size.batch_size,
        learning_rate=size.learning_rate,
        dropout=size.dropout,
        start=size.start,
        optimizer=size.optimizer,
    )


def _size_to_go_on_from(settings: PretrainSettings) -> SizeDefaults:
    """What suits the size nearest in width to the model of --init, at half the learning rate.

    By AdamW, as BERTs are usually trained: Muon was measured from the start of training only.

    Raises:
        UserError: there is no such model, or it has no positions for --max-length.
    """
    assert settings.init is not None
    config, _ = read_config(resolve_model_folder(settings.init))
    if settings.max_length > config.max_position_embeddings:
        raise UserError(
            f"--max-length {settings.max_length}: {settings.init} has positions for "
            f"{config.max_position_embeddings} tokens at most"
        )
    widths = {name: width for name, (_, width) in BERT_SIZES.items()}
    nearest = min(widths, key=lambda name: abs(widths[name] - config.hidden_size))
    size = _SIZE_DEFAULTS[nearest]
    rate = size.learning_rate / 2
    return dataclasses.replace(size, start="random", optimizer="adamw", learning_rate=rate)


# Pre-training on text: a BERT from raw text or from token shards; see ``pretraining_road``.


__all__ = ["check_data", "set_up", "with_defaults"]

_FINETUNING_DROPOUT = 0.1  # what config.json tells whoever fine-tunes the model
_QUICK_EVALUATION_TOKENS = 32_000


def set_up(
    settings: PretrainSettings, run: Path, device: torch.device, is_resumed: bool, is_new: bool
) -> Setup:
    """The model before its first step, with its data.

    Args:
        settings: with nothing left open.
        run: the run's folder, in which missing shards and a missing tokenizer are made.
        device: what to compute on.
        is_resumed: whether what lies in that folder was made under these same settings.
        is_new: whether the model's first weights count; if not, a checkpoint overwrites them.

    Raises:
        UserError: as ``pretraining_shards``, or there is too little text.
    """
    data = _pretraining_data(settings, pretraining_shards(settings, run, is_resumed))
    model = build_model(settings, data.shards, data.corpus, data.documents, is_new).to(device)

    def facts() -> dict[str, Any]:
        return {
            "unigram_loss": unigram_loss(
                data.corpus, data.documents, data.held_out_documents, data.masking
            ),
            "held_out_documents": len(data.held_out_documents),
            "encoder": settings.init or settings.encoder,
            "vocabulary_extension": (
                None if settings.extend_vocabulary is None else read_report(run / TOKENIZER)
            ),
        }

    def save(folder: Path, summary: dict[str, Any]) -> None:
        _save(folder, model, settings, summary, data.shards.tokenizer_folder)

    return Setup(
        model=model,
        stages=_stages(settings, data),
        data_sha256=shards_sha256(data.shards.manifest),
        held_out="documents",
        counted="tokens",
        count=lambda batch: batch.token_count,
        measure=lambda tokens: data.held_out.measure(model, device, tokens),
        quick=_QUICK_EVALUATION_TOKENS,
        shown=_shown,
        facts=facts,
        save=save,
    )


@dataclass(frozen=True)
class _PretrainingData:
    """The corpus, divided, and how tokens are hidden in it."""

    shards: Shards
    corpus: TextCorpus
    documents: np.ndarray
    held_out_documents: np.ndarray
    masking: Masking
    held_out: HeldOut


def _pretraining_data(settings: PretrainSettings, shards: Shards) -> _PretrainingData:
    assert settings.objectives is not None
    tokenizer = load_tokenizer(shards.tokenizer_folder)
    corpus = TextCorpus(shards.shards)
    documents, held_out_documents = split_held_out(
        corpus, settings.held_out_fraction, at_least=2 if "nsp" in settings.objectives else 1
    )
    lengths = corpus.document_lengths()
    share = lengths[held_out_documents].sum() / lengths.sum()
    if share > 10 * settings.held_out_fraction:
        print(
            f"{len(held_out_documents)} of {len(lengths)} documents are held out to measure with, "
            f"{share:.0%} of the text: with more documents (chapters for books) it would be less",
            file=sys.stderr,
        )
    masking = Masking(
        settings.mask_probability,
        settings.masking,
        special_tokens(tokenizer),
        shards.vocab_size,
        continuation_pieces(tokenizer),
    )
    held_out = HeldOut(
        corpus, held_out_documents, masking, settings.objectives, settings.max_length
    )
    return _PretrainingData(shards, corpus, documents, held_out_documents, masking, held_out)


def _stages(settings: PretrainSettings, data: _PretrainingData) -> list[Stage]:
    """The run's parts: one, or one of short sequences before it, with as many tokens a step."""
    assert settings.batch_size is not None
    assert settings.objectives is not None
    parts = [(1.0, settings.max_length, settings.batch_size)]
    if settings.short_length is not None:
        size = max(1, settings.batch_size * settings.max_length // settings.short_length)
        parts.insert(0, (settings.short_share, settings.short_length, size))
    return [
        Stage(
            until,
            TextBatches(
                data.corpus,
                data.documents,
                data.masking,
                settings.objectives,
                max_length,
                batch_size,
                settings.seed + place,
            ),
            {"max_length": max_length},
        )
        for place, (until, max_length, batch_size) in enumerate(parts)
    ]


def _shown(result: HeldOutResult) -> dict[str, str]:
    return {} if result.mlm_loss is None else {"held out": f"{result.mlm_loss:.3f}"}


def _save(
    folder: Path,
    model: TextPreTraining,
    settings: PretrainSettings,
    summary: dict[str, Any],
    tokenizer: Path,
) -> None:
    model.encoder.config = dataclasses.replace(
        model.encoder.config,
        hidden_dropout_prob=_FINETUNING_DROPOUT,
        attention_probs_dropout_prob=_FINETUNING_DROPOUT,
    )
    save_pretraining(folder, model, tokenizer, pretraining_card(settings, summary))
