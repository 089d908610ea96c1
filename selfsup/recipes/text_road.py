"""Pre-training on text: a BERT from raw text or from token shards; see ``pretraining_road``."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfsup.corpus.manifest import shards_sha256
from selfsup.corpus.shards import Shards
from selfsup.corpus.tokenizer_folder import load_tokenizer
from selfsup.objectives.held_out import HeldOut, HeldOutResult, unigram_loss
from selfsup.objectives.masked_lm import Masking
from selfsup.objectives.pretraining_folder import save_pretraining
from selfsup.objectives.text_corpus import TextCorpus, split_held_out
from selfsup.objectives.text_objective import TextBatches, TextPreTraining
from selfsup.recipes.model_card import pretraining_card
from selfsup.recipes.pretraining_data import TOKENIZER, check_data, pretraining_shards
from selfsup.recipes.pretraining_defaults import with_defaults
from selfsup.recipes.pretraining_model import build_model
from selfsup.recipes.pretraining_road import Setup
from selfsup.recipes.vocabulary import continuation_pieces, special_tokens
from selfsup.recipes.vocabulary_extension import read_report
from selfsup.settings import PretrainSettings
from selfsup.training.loop import Stage

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
