"""Pre-training on text: a BERT from raw text or from token shards."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.words import continuation_pieces
from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import BERT_SIZES, bert_config
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.encoder.layers import initialize
from selfsup.encoder.rotary import RotaryAttention
from selfsup.errors import UserError
from selfsup.pretraining.modality import USUAL_ENCODER, Pretraining, SizeDefaults
from selfsup.pretraining.text.batches import HeldOutText, TextBatch, TextBatches, TextData
from selfsup.pretraining.text.data import (
    TOKENIZER,
    advice_on_documents,
    check_data,
    new_tokens,
    pretraining_shards,
    read_extension_report,
)
from selfsup.pretraining.text.documents import (
    drop_impossible_pairs,
    hold_out_end,
    why_few_pairs,
)
from selfsup.pretraining.text.masked_lm import MaskedLM, unigram_loss
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.model import (
    TextPretrainingModel,
    load_pretraining,
    save_pretraining,
    text_objectives,
)
from selfsup.pretraining.text.next_sentence import NextSentence
from selfsup.pretraining.text.sequences import (
    MOST_HELD_OUT,
    TextCorpus,
    special_tokens,
    split_held_out,
    token_counts,
)
from selfsup.pretraining.text.structured_start import (
    MAX_TOKENS,
    co_occurrence_vectors,
    start_structured,
    word_dimensions,
)
from selfsup.runs.model_cards import pretraining_card
from selfsup.settings.objectives import TEXT_MEASUREMENTS, TEXT_OBJECTIVES
from selfsup.settings.pretrain import PretrainSettings, ResolvedPretrainSettings
from selfsup.shards.folder import shards_sha256
from selfsup.terminal import say
from selfsup.training.loop import Stage

_FINETUNING_DROPOUT = 0.1  # in config.json, for whoever fine-tunes the model


# Those of the small sizes are meant for minutes to hours on a laptop; bert-mini's were measured
# (docs/log.md), and the others follow from them. Those of the large sizes are from BERT's paper
# (appendix A.2).
_SIZE_DEFAULTS = {
    "bert-tiny": SizeDefaults(16, 2e-3, start="structured"),
    "bert-mini": SizeDefaults(32, 1e-3, start="structured", optimizer="muon"),
    "bert-small": SizeDefaults(16, 7e-4, start="structured"),
    "bert-medium": SizeDefaults(32, 5e-4, start="structured"),
    "bert-base": SizeDefaults(256, 1e-4, dropout=0.1),
    "bert-large": SizeDefaults(256, 1e-4, dropout=0.1),
}


class TextPretraining(Pretraining):
    """A BERT that is about to be pre-trained, and its corpus."""

    unit = "tokens"
    held_out_unit = "documents"
    quick_size = 32_000
    measurements = TEXT_MEASUREMENTS
    check_data = staticmethod(check_data)

    @staticmethod
    def resolve(settings: PretrainSettings) -> ResolvedPretrainSettings:
        encoder = settings.encoder or USUAL_ENCODER["text"]
        if settings.init is None:
            bert_config(encoder, 1)  # raises where there is none, and names those there are
            size = _SIZE_DEFAULTS[encoder]
        else:
            size = _defaults_with_init(settings.init, settings.max_length)
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
        return ResolvedPretrainSettings.complete(
            settings,
            encoder=None if settings.init is not None else encoder,
            objectives=TEXT_OBJECTIVES,
            budget=settings.default_budget,
            **dataclasses.asdict(size),
        )

    def _open(self, is_resumed: bool, is_new: bool) -> None:
        shards = pretraining_shards(self.settings, self._run, is_resumed)
        self._tokenizer_folder = shards.tokenizer_folder
        self.data_sha256 = shards_sha256(shards.manifest)
        tokenizer = load_tokenizer(shards.tokenizer_folder)
        corpus = TextCorpus(shards.shards)
        if is_new and NextSentence.name in self.settings.objectives:
            self._check_pairs(np.diff(corpus.document_offsets), shards.manifest)
        settings = self.settings
        objectives, fraction = text_objectives(settings.objectives), settings.held_out_fraction
        if corpus.document_count == 1:
            corpus, documents, held_out = hold_out_end(corpus, fraction)
        else:
            at_least = max(each.min_documents for each in objectives)
            documents, held_out = split_held_out(corpus, fraction, at_least)
        if is_new:
            _warn_of_long_documents(corpus, held_out, settings, shards.manifest["documents"])
        masking = Masking(
            settings.mask_probability,
            settings.masking,
            special_tokens(tokenizer),
            shards.vocab_size,
            continuation_pieces(tokenizer),
        )
        self._data = TextData(corpus, documents, masking, objectives, settings.max_length)
        self._held_out_documents = held_out
        self._held_out = HeldOutText(dataclasses.replace(self._data, documents=held_out))
        self.model = self._build_model(is_new).to(self._device)
        self.stages = self._make_stages()

    def _check_pairs(self, sentences: np.ndarray, manifest: dict[str, Any]) -> None:
        """Leave next-sentence prediction out of the settings if it cannot be learned."""
        if why := why_few_pairs(sentences, manifest["duplicate_documents"]):
            advice, by_default = advice_on_documents(self.settings), self._objectives_by_default
            self.settings = drop_impossible_pairs(
                self.settings, sentences, why, advice, by_default=by_default
            )

    def count(self, batch: TextBatch) -> int:
        return batch.token_count

    def facts(self) -> dict[str, Any]:
        settings, data, held_out = self.settings, self._data, self._held_out_documents
        is_extended = settings.extend_vocabulary is not None
        return {
            "unigram_loss": unigram_loss(data.corpus, data.documents, held_out, data.masking),
            "held_out_documents": len(held_out),
            "encoder": settings.init or settings.encoder,
            "vocabulary_extension": (
                read_extension_report(self._run / TOKENIZER) if is_extended else None
            ),
        }

    def save(self, folder: Path, summary: dict[str, Any]) -> None:
        encoder = self.model.encoder
        encoder.config = dataclasses.replace(
            encoder.config,
            hidden_dropout_prob=_FINETUNING_DROPOUT,
            attention_probs_dropout_prob=_FINETUNING_DROPOUT,
        )
        card = pretraining_card(self.settings, summary)
        save_pretraining(folder, self.model, self._tokenizer_folder, card)

    def _make_stages(self) -> list[Stage]:
        """The run's parts: one, or a first one of short sequences with as many tokens a step."""
        settings = self.settings
        parts = [(1.0, settings.max_length, settings.batch_size)]
        if settings.short_length is not None:
            size = max(1, settings.batch_size * settings.max_length // settings.short_length)
            parts.insert(0, (settings.short_share, settings.short_length, size))
        return [
            Stage(
                until,
                TextBatches(
                    dataclasses.replace(self._data, max_length=max_length),
                    batch_size,
                    settings.seed + number,
                ),
                {"max_length": max_length},
            )
            for number, (until, max_length, batch_size) in enumerate(parts)
        ]

    def _build_model(self, is_new: bool) -> TextPretrainingModel:
        """The model before its first step (or, if not ``is_new``, with values to overwrite)."""
        settings, data = self.settings, self._data
        if settings.init is not None:
            return self._load_model(resolve_model_folder(settings.init), is_new)
        assert settings.encoder is not None
        vocab_size, seed = data.masking.vocab_size, settings.seed
        config = bert_config(settings.encoder, vocab_size, settings.dropout)
        encoder = BertEncoder(config)
        model = TextPretrainingModel(encoder, settings.objectives)
        initialize(model, config.initializer_range, seed)
        if settings.start == "structured" and is_new:
            say("Counting which words stand together, for the first weights")
            sample = _sample_tokens(data.corpus, data.documents)
            dimensions = word_dimensions(encoder)
            start_structured(
                encoder,
                next((head for head in model.heads.values() if isinstance(head, MaskedLM)), None),
                co_occurrence_vectors(sample, vocab_size, dimensions, seed),
                token_counts(data.corpus, data.documents, vocab_size),
                data.masking.special.ids(),
                seed,
            )
        return model

    def _load_model(self, folder: Path, is_new: bool) -> TextPretrainingModel:
        """The model of --init, with new weights for what it lacks."""
        settings = self.settings
        added = {}
        if settings.extend_vocabulary is not None:
            added = new_tokens(load_tokenizer(folder), load_tokenizer(self._tokenizer_folder))
        model, missing = load_pretraining(folder, settings.objectives, settings.seed, added)
        if missing and is_new:
            say(f"New weights, not in {folder}: {', '.join(missing)}")
        _set_dropout(model, settings.dropout)
        return model


def _warn_of_long_documents(
    corpus: TextCorpus, held_out: np.ndarray, settings: ResolvedPretrainSettings, documents: int
) -> None:
    """Say so if much is held out, or if documents are so long that each may hold several."""
    lengths = corpus.document_lengths()
    share, mean = lengths[held_out].sum() / lengths.sum(), lengths.mean()
    if documents == 1:
        what = f"The end of the only document, {share:.0%} of the text, is held out to measure with"
    elif share > 10 * settings.held_out_fraction:
        what = (
            f"{len(held_out)} of {documents} documents are held out to measure with, {share:.0%} "
            "of the text: with more documents (chapters for books) it would be less"
        )
    elif mean > MOST_HELD_OUT:
        what = f"Documents have {mean:,.0f} tokens on average"
    else:
        return
    say(f"{what}; {advice_on_documents(settings)}")


def _defaults_with_init(init: str, max_length: int) -> SizeDefaults:
    """Defaults of the size nearest in width to the model of --init, at half the learning rate.

    With AdamW, as BERTs are usually trained: Muon was only measured from the start of training.

    Raises:
        UserError: there is no such model, or it has no positions for --max-length.
    """
    config, _ = read_config(resolve_model_folder(init))
    if max_length > config.longest_sequence:
        raise UserError(
            f"--max-length {max_length}: {init} has positions for "
            f"{config.longest_sequence} tokens at most"
        )
    widths = {name: width for name, (_, width) in BERT_SIZES.items()}
    nearest = min(widths, key=lambda name: abs(widths[name] - config.hidden_size))
    size = _SIZE_DEFAULTS[nearest]
    return SizeDefaults(size.batch_size, size.learning_rate / 2, size.dropout)


def _sample_tokens(corpus: TextCorpus, documents: np.ndarray) -> np.ndarray:
    """The tokens of evenly spread training documents, about ``MAX_TOKENS`` of them."""
    starts, lengths = corpus.document_starts(), corpus.document_lengths()
    share = min(1.0, MAX_TOKENS / lengths[documents].sum())
    numbers = np.linspace(0, len(documents), max(1, round(share * len(documents))), endpoint=False)
    chosen = documents[numbers.astype(np.int64)]
    return corpus.tokens_at(starts[chosen], lengths[chosen])


def _set_dropout(model: TextPretrainingModel, probability: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        elif isinstance(module, SelfAttention | RotaryAttention):
            module.dropout = probability
