"""``selfsup pretrain`` and ``selfsup resume``: from raw text or shards to a pre-trained BERT."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.shards import Shards
from selfsup.corpus.wordpiece import load_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import BERT_SIZES, bert_config
from selfsup.encoder.initialization import initialize
from selfsup.encoder.model_location import MODEL_IN_RUN, resolve_model_folder
from selfsup.errors import UserError
from selfsup.objectives.held_out import HeldOut, token_counts, unigram_loss
from selfsup.objectives.masked_lm import MaskedLMHead, Masking
from selfsup.objectives.pretraining_folder import load_pretraining, save_pretraining
from selfsup.objectives.sequences import SpecialTokens
from selfsup.objectives.structured_start import start_structured, word_dimensions
from selfsup.objectives.text_corpus import TextCorpus, split_held_out
from selfsup.objectives.text_objective import TextBatches, TextPreTraining
from selfsup.objectives.word_vectors import MAX_TOKENS, co_occurrence_vectors
from selfsup.recipes.model_card import pretraining_card
from selfsup.recipes.pretraining_data import pretraining_shards
from selfsup.recipes.pretraining_log import PretrainingLog
from selfsup.recipes.run_folder import METRICS, SETTINGS, begin_run, write_summary
from selfsup.settings import PretrainSettings, ResumeSettings
from selfsup.settings.duration import seconds_in
from selfsup.settings.parser import from_yaml
from selfsup.settings.pretrain import DEFAULT_BUDGET
from selfsup.training.checkpoint import latest_checkpoint, load_checkpoint
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.loop import Extent, RunState, Stage, StepSettings, train
from selfsup.training.optimizer import build_adamw

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class SizeDefaults:
    """What suits an encoder of a size, where the user says nothing.

    The small ones are meant for minutes to hours on a laptop, and were measured (docs/log.md);
    the large ones are as in BERT's paper (appendix A.2).
    """

    batch_size: int
    learning_rate: float
    dropout: float
    start: str


_SIZE_DEFAULTS = {
    "bert-tiny": SizeDefaults(16, 2e-3, 0.0, "structured"),
    "bert-mini": SizeDefaults(16, 1e-3, 0.0, "structured"),
    "bert-small": SizeDefaults(16, 7e-4, 0.0, "structured"),
    "bert-medium": SizeDefaults(32, 5e-4, 0.0, "structured"),
    "bert-base": SizeDefaults(256, 1e-4, 0.1, "random"),
    "bert-large": SizeDefaults(256, 1e-4, 0.1, "random"),
}
_FINETUNING_DROPOUT = 0.1  # what config.json tells whoever fine-tunes the model
_QUICK_EVALUATION_TOKENS = 32_000


def pretrain(settings: PretrainSettings) -> dict[str, Any]:
    """Pre-train as the settings say; returns what goes into ``summary.json``.

    Raises:
        UserError: the settings do not fit the data or the machine.
    """
    settings = _with_defaults(settings)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    run = begin_run(settings.out, settings)
    return _run(settings, run, compute)


def resume(settings: ResumeSettings) -> dict[str, Any]:
    """Go on with a run from its last checkpoint, as its ``run.yaml`` says.

    Raises:
        UserError: there is no such run, or it has come to its end.
    """
    run = Path(settings.run)
    if not (run / SETTINGS).exists():
        raise UserError(f"{run}: no run that can be resumed (it has no {SETTINGS})")
    original = dataclasses.replace(from_yaml(PretrainSettings, run / SETTINGS), out=str(run))
    if latest_checkpoint(run / CHECKPOINTS) is None and (run / MODEL_IN_RUN).exists():
        raise UserError(
            f"{run}: this run has come to its end; its model is in {run / MODEL_IN_RUN}"
        )
    compute = choose_compute(original.device, original.precision, original.threads)
    return _run(original, run, compute)


def _with_defaults(settings: PretrainSettings) -> PretrainSettings:
    """Replace what was left open by what suits the encoder."""
    if settings.encoder not in BERT_SIZES:
        bert_config(settings.encoder, 1)  # raises, and names the sizes there are
    size = _SIZE_DEFAULTS[settings.encoder]
    if settings.init is not None:
        resolve_model_folder(settings.init)
        size = dataclasses.replace(size, start="random")
        if settings.start == "structured":
            raise UserError("--start structured is for new weights: leave it out with --init")
    if settings.short_length is not None and settings.short_length >= settings.max_length:
        raise UserError(
            f"--short-length {settings.short_length} must be below --max-length "
            f"{settings.max_length}"
        )
    budget = settings.budget
    if settings.steps is None and budget is None:
        budget = DEFAULT_BUDGET
        print(f"Training for {budget}: --budget or --steps says otherwise", file=sys.stderr)

    def given(value: Any, default: Any) -> Any:
        return default if value is None else value

    return dataclasses.replace(
        settings,
        budget=budget,
        batch_size=given(settings.batch_size, size.batch_size),
        learning_rate=given(settings.learning_rate, size.learning_rate),
        dropout=given(settings.dropout, size.dropout),
        start=size.start if settings.start == "auto" else settings.start,
    )


def _run(settings: PretrainSettings, run: Path, compute: Compute) -> dict[str, Any]:
    shards = pretraining_shards(settings, run)
    tokenizer = load_tokenizer(shards.tokenizer_folder)
    corpus = TextCorpus(shards.shards)
    documents, held_out_documents = split_held_out(
        corpus, settings.held_out_fraction, at_least=2 if "nsp" in settings.objectives else 1
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
    stages = _stages(settings, corpus, documents, masking)
    checkpoint = latest_checkpoint(run / CHECKPOINTS)
    model = _build_model(settings, shards, corpus, documents, is_new=checkpoint is None)
    model.to(compute.device)
    assert settings.learning_rate is not None
    optimizer = build_adamw(model.named_parameters(), settings.learning_rate, settings.weight_decay)
    state = RunState()
    if checkpoint is not None:
        stored = load_checkpoint(checkpoint, model, optimizer)
        state = RunState(**stored)
        print(f"Going on from step {state.step} of {run}", file=sys.stderr)
    extent = Extent(
        steps=settings.steps,
        seconds=None if settings.budget is None else seconds_in(settings.budget),
    )
    log = PretrainingLog(
        run / METRICS,
        title=f"pretrain {settings.encoder}",
        model=model,
        optimizer=optimizer,
        checkpoints=run / CHECKPOINTS,
        extent=extent,
        state=state,
        measure=lambda tokens: held_out.measure(model, compute.device, tokens),
        peak_flops=compute.matmul_peak(),
        learning_rate=settings.learning_rate,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
        quick_tokens=_QUICK_EVALUATION_TOKENS,
    )
    with log:
        try:
            train(
                model,
                optimizer,
                stages,
                extent,
                StepSettings(
                    settings.schedule,
                    settings.warmup,
                    settings.gradient_clip,
                    settings.accumulate,
                    settings.seed,
                ),
                compute,
                state,
                log.after_step,
                model.training_flops,
            )
        except KeyboardInterrupt:
            log.save_checkpoint()
            log.message(f"Stopped at step {state.step}. To go on: selfsup resume {run}")
            raise
        log.message("Measuring on the held-out documents")
        result = held_out.measure(model, compute.device)
    summary = {
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 3),
        "tokens_per_second": round(state.tokens / state.seconds, 1),
        "flops_utilization": round(state.flops / state.seconds / log.peak_flops, 4),
        "mlm_loss": result.mlm_loss,
        "mlm_accuracy": result.mlm_accuracy,
        "nsp_accuracy": result.nsp_accuracy,
        "unigram_loss": unigram_loss(corpus, documents, held_out_documents, shards.vocab_size),
        "held_out_documents": len(held_out_documents),
        "encoder": settings.encoder,
        "out": str(run),
    }
    model.encoder.config = dataclasses.replace(
        model.encoder.config,
        hidden_dropout_prob=_FINETUNING_DROPOUT,
        attention_probs_dropout_prob=_FINETUNING_DROPOUT,
    )
    save_pretraining(
        run / MODEL_IN_RUN, model, shards.tokenizer_folder, pretraining_card(settings, summary)
    )
    write_summary(run, summary)
    log.remove_checkpoints()
    return summary


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """The ids of BERT's five special tokens.

    Raises:
        UserError: the tokenizer lacks one.
    """
    ids = [tokenizer.token_to_id(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    if None in ids:
        raise UserError("the tokenizer lacks one of [PAD] [UNK] [CLS] [SEP] [MASK]: train another")
    return SpecialTokens(*ids)


def continuation_pieces(tokenizer: Tokenizer) -> np.ndarray:
    """Which tokens continue a word, bool [V]."""
    tokens = (tokenizer.id_to_token(i) or "" for i in range(tokenizer.get_vocab_size()))
    return np.array([token.startswith("##") for token in tokens])


def _stages(
    settings: PretrainSettings, corpus: TextCorpus, documents: np.ndarray, masking: Masking
) -> list[Stage]:
    """The run's parts: one, or one of short sequences before it, with as many tokens a step."""
    assert settings.batch_size is not None
    parts = [(1.0, settings.max_length, settings.batch_size)]
    if settings.short_length is not None:
        size = max(1, settings.batch_size * settings.max_length // settings.short_length)
        parts.insert(0, (settings.short_share, settings.short_length, size))
    return [
        Stage(
            until,
            TextBatches(
                corpus,
                documents,
                masking,
                settings.objectives,
                max_length,
                batch_size,
                settings.seed + place,
            ),
            {"max_length": max_length},
        )
        for place, (until, max_length, batch_size) in enumerate(parts)
    ]


def _build_model(
    settings: PretrainSettings,
    shards: Shards,
    corpus: TextCorpus,
    documents: np.ndarray,
    is_new: bool,
) -> TextPreTraining:
    """The model before its first step (or, if not ``is_new``, with values to be overwritten)."""
    assert settings.dropout is not None
    if settings.init is not None:
        folder = resolve_model_folder(settings.init)
        model, report = load_pretraining(folder, settings.objectives, settings.seed)
        if report.missing and is_new:
            print(f"New weights, not in {folder}: {', '.join(report.missing)}", file=sys.stderr)
        _set_dropout(model, settings.dropout)
        return model
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
    total = corpus.document_lengths()[documents].sum()
    chosen = documents[:: max(1, int(total // MAX_TOKENS))]
    return corpus.tokens_at(corpus.document_starts()[chosen], corpus.document_lengths()[chosen])


def _set_dropout(model: TextPreTraining, probability: float) -> None:
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        elif hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = probability
