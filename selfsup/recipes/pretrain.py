"""``selfsup pretrain`` and ``selfsup resume``: from raw text or shards to a pre-trained BERT."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.corpus.shards import Shards
from selfsup.corpus.wordpiece import load_tokenizer
from selfsup.encoder.model_location import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.objectives.held_out import HeldOut, unigram_loss
from selfsup.objectives.masked_lm import Masking
from selfsup.objectives.pretraining_folder import save_pretraining
from selfsup.objectives.text_corpus import TextCorpus, split_held_out
from selfsup.objectives.text_objective import TextBatches
from selfsup.recipes.model_card import pretraining_card
from selfsup.recipes.pretraining_data import TOKENIZER, check_data, pretraining_shards
from selfsup.recipes.pretraining_defaults import with_defaults
from selfsup.recipes.pretraining_log import PretrainingLog
from selfsup.recipes.pretraining_model import build_model
from selfsup.recipes.pretraining_optimizer import build_optimizer
from selfsup.recipes.run_folder import METRICS, SETTINGS, begin_run, write_summary
from selfsup.recipes.vocabulary import continuation_pieces, special_tokens
from selfsup.recipes.vocabulary_extension import read_report
from selfsup.settings import PretrainSettings, ResumeSettings
from selfsup.settings.duration import seconds_in
from selfsup.settings.parser import from_yaml
from selfsup.training.checkpoint import latest_checkpoint, load_checkpoint, remove_checkpoints
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.interrupt import StopOnSignal
from selfsup.training.loop import Extent, NotFinite, RunState, Stage, StepSettings, train

CHECKPOINTS = "checkpoints"


_FINETUNING_DROPOUT = 0.1  # what config.json tells whoever fine-tunes the model
_QUICK_EVALUATION_TOKENS = 32_000


def pretrain(settings: PretrainSettings) -> dict[str, Any]:
    """Pre-train as the settings say; returns what goes into ``summary.json``.

    Raises:
        UserError: the settings do not fit the data or the machine.
    """
    settings = with_defaults(settings)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    if latest_checkpoint(Path(settings.out) / CHECKPOINTS) is not None:
        raise UserError(
            f"--out {settings.out}: holds a run that stopped: go on with `selfsup resume "
            f"{settings.out}`, or choose another --out"
        )
    check_data(settings)
    run = begin_run(settings.out, settings)
    return _run(settings, run, compute, is_resumed=False)


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
    return _run(original, run, compute, is_resumed=True)


def _run(
    settings: PretrainSettings, run: Path, compute: Compute, is_resumed: bool
) -> dict[str, Any]:
    """Train from the last checkpoint, or from the start, to the end; write model and summary."""
    assert settings.learning_rate is not None
    data = _pretraining_data(settings, pretraining_shards(settings, run, is_resumed))
    checkpoint = latest_checkpoint(run / CHECKPOINTS)
    model = build_model(
        settings, data.shards, data.corpus, data.documents, is_new=checkpoint is None
    ).to(compute.device)
    optimizer = build_optimizer(model, settings, compute.dtype)
    state = RunState()
    if checkpoint is not None:
        state = RunState(**load_checkpoint(checkpoint, model, optimizer))
        print(f"Going on from step {state.step} of {run}", file=sys.stderr)
    extent = Extent(
        steps=settings.steps,
        seconds=None if settings.budget is None else seconds_in(settings.budget),
    )
    log = PretrainingLog(
        run / METRICS,
        title=f"pretrain {Path(settings.init or settings.encoder).name}",
        model=model,
        optimizer=optimizer,
        checkpoints=run / CHECKPOINTS,
        extent=extent,
        state=state,
        measure=lambda tokens: data.held_out.measure(model, compute.device, tokens),
        measure_peak=compute.matmul_peak,
        learning_rate=settings.learning_rate,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
        quick_tokens=_QUICK_EVALUATION_TOKENS,
    )
    with log:
        with StopOnSignal() as stop:
            try:
                train(
                    model,
                    optimizer,
                    _stages(settings, data),
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
                    lambda: stop.requested,
                )
            except NotFinite as error:
                raise UserError(
                    f"{run}: {error}: try a --learning-rate below {settings.learning_rate:g}, or "
                    "--precision float32"
                ) from error
            log.save_checkpoint()
        try:
            if extent.progress(state) < 1.0:
                raise KeyboardInterrupt
            log.message("Measuring on the held-out documents")
            result = data.held_out.measure(model, compute.device)
        except KeyboardInterrupt:
            log.message(f"Stopped at step {state.step}. To go on: selfsup resume {run}")
            raise
    summary = {
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 3),
        "tokens_per_second": round(state.tokens / state.seconds, 1),
        "flops_utilization": round(state.flops / state.seconds / log.peak_flops, 4),
        **dataclasses.asdict(result),
        "unigram_loss": unigram_loss(
            data.corpus, data.documents, data.held_out_documents, data.shards.vocab_size
        ),
        "held_out_documents": len(data.held_out_documents),
        "encoder": settings.init or settings.encoder,
        "vocabulary_extension": read_report(run / TOKENIZER),
        "out": str(run),
    }
    model.encoder.config = dataclasses.replace(
        model.encoder.config,
        hidden_dropout_prob=_FINETUNING_DROPOUT,
        attention_probs_dropout_prob=_FINETUNING_DROPOUT,
    )
    card = pretraining_card(settings, summary)
    save_pretraining(run / MODEL_IN_RUN, model, data.shards.tokenizer_folder, card)
    write_summary(run, summary)
    remove_checkpoints(run / CHECKPOINTS)
    return summary


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
    return _PretrainingData(shards, corpus, documents, held_out_documents, masking, held_out)


def _stages(settings: PretrainSettings, data: _PretrainingData) -> list[Stage]:
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
