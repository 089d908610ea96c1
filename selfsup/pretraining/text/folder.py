"""Pre-trained models, encoder and heads, in Hugging Face's model folders."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import bert_config
from selfsup.encoder.huggingface.config import config_of, read_config
from selfsup.encoder.huggingface.folder import (
    LoadReport,
    load_weights,
    read_weights,
    resolve_model_folder,
    save_model,
)
from selfsup.encoder.huggingface.names import NameTable, encoder_names, to_hugging_face
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.pretraining.text.extend_vocabulary import new_tokens
from selfsup.pretraining.text.held_out import token_counts
from selfsup.pretraining.text.masked_lm import MaskedLMHead
from selfsup.pretraining.text.model import TextPreTraining
from selfsup.pretraining.text.sequences import TextCorpus, special_tokens
from selfsup.pretraining.text.structured_start import (
    MAX_TOKENS,
    co_occurrence_vectors,
    start_structured,
    word_dimensions,
)
from selfsup.settings import PretrainSettings
from selfsup.shards.tokens import Shards

_NAMES: NameTable = {
    **encoder_names("encoder."),
    "heads.mlm.dense": ("cls.predictions.transform.dense",),
    "heads.mlm.norm": ("cls.predictions.transform.LayerNorm",),
    "heads.mlm": ("cls.predictions",),  # the scores' bias, a parameter of the head itself
    "heads.nsp.seq_relationship": ("cls.seq_relationship",),
}
_WORD_EMBEDDINGS = "bert.embeddings.word_embeddings.weight"
_OUTPUT_BIAS = "cls.predictions.bias"
_ARCHITECTURES = {
    ("mlm", "nsp"): "BertForPreTraining",
    ("mlm",): "BertForMaskedLM",
    ("nsp",): "BertForNextSentencePrediction",
}


def load_pretraining(
    folder: str | Path,
    objectives: Sequence[str],
    seed: int = 0,
    new_tokens: Mapping[int, Sequence[int]] | None = None,
) -> tuple[TextPreTraining, LoadReport]:
    """Load an encoder with the heads of some objectives, in evaluation mode.

    Args:
        folder: a BERT model folder; it need not hold any of the heads.
        objectives: some of ``TEXT_OBJECTIVES``.
        seed: for weights of heads and pooler that the folder lacks.
        new_tokens: ids of tokens that the folder's vocabulary lacks, after all of its own, each
            with the ids of its old pieces: its embedding and its output bias are their mean.

    Raises:
        UserError: the folder is damaged, or its model is none that we have.
    """
    config, _ = read_config(folder)
    weights = _without_tied_copies(read_weights(folder), folder)
    if new_tokens:
        config = replace(config, vocab_size=max(config.vocab_size, max(new_tokens) + 1))
        for name in (_WORD_EMBEDDINGS, _OUTPUT_BIAS):
            if name in weights:
                weights[name] = _with_new_rows(weights[name], config.vocab_size, new_tokens)
    model = TextPreTraining(BertEncoder(config), objectives)
    report = load_weights(model, weights, _NAMES, config.initializer_range, seed, folder)
    return model.eval(), report


def save_pretraining(
    folder: str | Path, model: TextPreTraining, tokenizer_folder: str | Path, model_card: str
) -> None:
    """Write a model folder that ``transformers`` loads under the class of the heads it has.

    Raises:
        UserError: there is no tokenizer, or the disk is full, read-only or not yours.
    """
    architecture = _ARCHITECTURES[tuple(sorted(model.heads))]
    save_model(
        folder,
        to_hugging_face(model.named_parameters(), _NAMES),
        config_of(model.encoder.config, architecture),
        tokenizer_folder,
        model_card,
    )


def _without_tied_copies(weights: dict[str, Tensor], folder: str | Path) -> dict[str, Tensor]:
    """Drop the copies of the output matrix and bias that some checkpoints hold twice."""
    weights = dict(weights)
    matrix = weights.pop("cls.predictions.decoder.weight", None)
    embeddings = weights.get(_WORD_EMBEDDINGS)
    if matrix is not None and embeddings is not None and not torch.equal(matrix, embeddings):
        raise UserError(
            f"{folder}: its output matrix is not its word embeddings (cls.predictions.decoder); "
            "only models that share the two can be loaded"
        )
    bias = weights.pop("cls.predictions.decoder.bias", None)
    if bias is not None:
        weights.setdefault(_OUTPUT_BIAS, bias)
    return weights


def _with_new_rows(rows: Tensor, count: int, new: Mapping[int, Sequence[int]]) -> Tensor:
    """The rows [V, …] with more of them, up to ``count``; new ones are means of old ones."""
    rows = rows.float()
    longer = torch.cat([rows, rows.new_zeros(max(0, count - len(rows)), *rows.shape[1:])])
    for number, pieces in new.items():
        longer[number] = rows[list(pieces)].mean(0)
    return longer


# The model that pre-training begins with.


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
