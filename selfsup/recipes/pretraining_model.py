"""The model that pre-training begins with."""

import sys

import numpy as np
from torch import nn

from selfsup.corpus.shards import Shards
from selfsup.corpus.tokenizer_folder import load_tokenizer
from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import bert_config
from selfsup.encoder.initialization import initialize
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.objectives.held_out import token_counts
from selfsup.objectives.masked_lm import MaskedLMHead
from selfsup.objectives.pretraining_folder import load_pretraining
from selfsup.objectives.structured_start import start_structured, word_dimensions
from selfsup.objectives.text_corpus import TextCorpus
from selfsup.objectives.text_objective import TextPreTraining
from selfsup.objectives.word_vectors import MAX_TOKENS, co_occurrence_vectors
from selfsup.recipes.vocabulary import special_tokens
from selfsup.recipes.vocabulary_extension import new_tokens
from selfsup.settings import PretrainSettings


def build_model(
    settings: PretrainSettings,
    shards: Shards,
    corpus: TextCorpus,
    documents: np.ndarray,
    is_new: bool,
) -> TextPreTraining:
    """The model before its first step (or, if not ``is_new``, with values to be overwritten)."""
    assert settings.objectives is not None  # see pretraining_defaults
    assert settings.dropout is not None
    if settings.init is not None:
        folder = resolve_model_folder(settings.init)
        added = {}
        if settings.extend_vocabulary is not None:
            added = new_tokens(load_tokenizer(folder), load_tokenizer(shards.tokenizer_folder))
        model, report = load_pretraining(folder, settings.objectives, settings.seed, added)
        if report.missing and is_new:
            print(f"New weights, not in {folder}: {', '.join(report.missing)}", file=sys.stderr)
        _set_dropout(model, settings.dropout)
        return model
    assert settings.encoder is not None
    config = bert_config(settings.encoder, shards.vocab_size, settings.dropout)
    model = TextPreTraining(BertEncoder(config), settings.objectives)
    initialize(model, config.initializer_range, settings.seed)
    if settings.start == "structured" and is_new:
        print("Counting which words stand together, for the first weights", file=sys.stderr)
        sample = _sample_tokens(corpus, documents)
        start_structured(
            model.encoder,
            _masked_lm_head(model),
            co_occurrence_vectors(
                sample, shards.vocab_size, word_dimensions(model.encoder), settings.seed
            ),
            token_counts(corpus, documents, shards.vocab_size),
            special_tokens(load_tokenizer(shards.tokenizer_folder)).ids(),
            settings.seed,
        )
    return model


def _masked_lm_head(model: TextPreTraining) -> MaskedLMHead | None:
    return next((head for head in model.heads.values() if isinstance(head, MaskedLMHead)), None)


def _sample_tokens(corpus: TextCorpus, documents: np.ndarray) -> np.ndarray:
    """The text of as many training documents, evenly spread, as word vectors are counted from."""
    starts, lengths = corpus.document_starts(), corpus.document_lengths()
    share = min(1.0, MAX_TOKENS / lengths[documents].sum())
    places = np.linspace(0, len(documents), max(1, round(share * len(documents))), endpoint=False)
    chosen = documents[places.astype(np.int64)]
    return corpus.tokens_at(starts[chosen], lengths[chosen])


def _set_dropout(model: TextPreTraining, probability: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        elif isinstance(module, SelfAttention):
            module.dropout = probability
