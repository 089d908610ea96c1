"""Extractive question answering: which part of a context answers a question (BERT §4.2, §4.3)."""

from collections.abc import Sequence

import numpy as np

from selfsup.encoder.bert import BertEncoder
from selfsup.errors import UserError
from selfsup.tasks import text_encoder as text_family
from selfsup.tasks.base import Reading
from selfsup.tasks.classification.encoding import IGNORE_INDEX
from selfsup.tasks.labels import Kind, Labels
from selfsup.tasks.notes import key_of
from selfsup.tasks.question_answering.answers import (
    NULL_THRESHOLD,
    EncodedQuestions,
    decode,
    records,
    tally,
)
from selfsup.tasks.question_answering.data import Questions, read_squad, unlabelled_questions
from selfsup.tasks.question_answering.metrics import chance, details, fit, metrics, selection_metric
from selfsup.tasks.question_answering.model import SpanModel, parameter_names
from selfsup.tasks.question_answering.windows import answer_windows, most_question_tokens
from selfsup.tasks.text_encoder import TextPreparation

__all__ = [
    "ARCHITECTURE",
    "FAMILY",
    "LABEL_KINDS",
    "NAME",
    "NULL_THRESHOLD",
    "PIPELINE",
    "POOLED",
    "SEGMENTS",
    "EncodedQuestions",
    "SpanModel",
    "build_model",
    "chance",
    "decode",
    "default_max_length",
    "details",
    "encode_examples",
    "examples_of",
    "fit",
    "learn_labels",
    "metrics",
    "parameter_names",
    "read_examples",
    "reading_notes",
    "records",
    "selection_metric",
    "tally",
]

NAME = "question-answering"
SEGMENTS = 2  # question and context
ARCHITECTURE = "BertForQuestionAnswering"
LABEL_KINDS: tuple[Kind, ...] = ("none",)
FAMILY = text_family
POOLED = False
PIPELINE = "question-answering"


def default_max_length() -> int:
    """As usual for SQuAD: four in a hundred of its contexts are longer."""
    return 384


def read_examples(file: str, reading: Reading, *, labelled: bool) -> Questions:
    """Read a file in SQuAD's form; it has no columns.

    Raises:
        UserError: as ``read_squad``.
    """
    return read_squad(file, labelled=labelled)


def examples_of(texts: Sequence[str], text_pairs: Sequence[str] | None) -> Questions:
    """Questions, and the context of each.

    Raises:
        UserError: there are no contexts.
        ValueError: there are not as many contexts as questions.
    """
    if text_pairs is None:
        raise UserError(f"this model does {NAME}: give a --question and a text to answer it from")
    if len(text_pairs) != len(texts):
        raise ValueError(f"{len(texts)} questions and {len(text_pairs)} contexts")
    return unlabelled_questions(texts, text_pairs)


def learn_labels(examples: Questions, label_type: Kind | None) -> Labels:
    """Answers are parts of the context and have no names.

    Raises:
        UserError: no question has an answer.
    """
    if not any(examples.answers or []):
        raise UserError(f"{examples.source}: no question has an answer: there is nothing to learn")
    return Labels("none")


def reading_notes(train: Questions, validation: Questions, labels: Labels) -> list[str]:
    """Questions without answers in one of the files alone, and those that are in both."""
    notes = []
    unanswerable = [
        sum(not answers for answers in examples.answers or []) for examples in (train, validation)
    ]
    for examples, count in zip((train, validation), unanswerable, strict=True):
        if count:
            notes.append(
                f"{examples.source}: {count:,} of {len(examples):,} questions have no answer"
            )
    if unanswerable[1] and not unanswerable[0]:
        notes.append(f"{train.source}: none is without an answer, so it is not learnt to give none")
    keys = [
        [key_of(part.questions[place], part.context(place)) for place in range(len(part))]
        for part in (train, validation)
    ]
    known, contexts = set(keys[0]), {context for _, context in keys[0]}
    if both := sum(key in known for key in keys[1]):
        notes.append(f"{validation.source}: {both:,} of its questions are in {train.source}, too")
    elif shared := sum(context in contexts for _, context in keys[1]):
        notes.append(
            f"{validation.source}: {shared:,} of its questions are about contexts of "
            f"{train.source}: of new contexts the model will know less"
        )
    for part, of_part in zip((train, validation), keys, strict=True):
        if repeated := len(part) - len(set(of_part)):
            notes.append(f"{part.source}: {repeated:,} questions are there more than once")
    return notes


def encode_examples(
    examples: Questions, labels: Labels, preparation: TextPreparation
) -> EncodedQuestions:
    """Questions and contexts to windows of token ids."""
    limits = preparation.limits
    windows = answer_windows(preparation.tokenizer, examples, limits.max_length, limits.doc_stride)
    notes, source = [], examples.source
    several = len(np.unique(windows.question_of[1:][np.diff(windows.question_of) == 0]))
    if several:
        notes.append(
            f"{source}: {several:,} of {len(examples):,} questions do not fit with their context "
            f"in {limits.max_length} tokens; it is read in windows"
        )
    if windows.cut:
        most = most_question_tokens(limits.max_length)
        notes.append(f"{source}: {windows.cut:,} questions cut at {most} tokens")
    unknown = np.unique(windows.question_of[windows.labels[:, 0] == IGNORE_INDEX])
    if examples.answers is not None and len(unknown):
        notes.append(
            f"{source}: {len(unknown):,} answers hold no token and are not learnt from (the first "
            f"is that of question {examples.ids[int(unknown[0])]})"
        )
    return EncodedQuestions(windows, limits.max_answer_length, tuple(notes))


def build_model(encoder: BertEncoder, labels: Labels, dropout: float) -> SpanModel:
    """The encoder under a new head, before which there is no dropout."""
    return SpanModel(encoder)
