"""Extractive question answering: find the span of a context that answers a question (BERT §4.2)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Prediction, Reading, Task
from selfsup.tasks.encoders import TEXT_ENCODERS, TextPreparation
from selfsup.tasks.labels import LabelKind, Labels
from selfsup.tasks.notes import key_of
from selfsup.tasks.question_answering import answers
from selfsup.tasks.question_answering.data import Questions, read_squad, unlabelled_questions
from selfsup.tasks.question_answering.model import SpanModel, parameter_names
from selfsup.tasks.question_answering.windows import EncodedQuestions, encode_questions

# transformers has no pipeline for questions since its version 5.
_CODE = """\
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

model = AutoModelForQuestionAnswering.from_pretrained("{run}/model")
tokenizer = AutoTokenizer.from_pretrained("{run}/model")
scores = model(**tokenizer({inputs}, return_tensors="pt"))  # start_logits, end_logits"""


class QuestionAnswering(Task[Questions, EncodedQuestions]):
    """Question answering in the form of SQuAD."""

    name = "question-answering"
    architecture = "BertForQuestionAnswering"
    family = TEXT_ENCODERS
    label_kinds: tuple[LabelKind, ...] = ("none",)
    pipeline = "question-answering"
    segments = 2  # question and context
    default_max_length = 384  # as usual for SQuAD: 4 % of its contexts are longer
    writes_answers_by_id = True

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> Questions:
        return read_squad(file, labelled=labelled)

    def examples_of(self, texts: Sequence[str], text_pairs: Sequence[str] | None) -> Questions:
        if text_pairs is None:
            raise UserError(
                f"this model does {self.name}: give a --question and a text to answer it from"
            )
        if len(text_pairs) != len(texts):
            raise ValueError(f"{len(texts)} questions and {len(text_pairs)} contexts")
        return unlabelled_questions(texts, text_pairs)

    def learn_labels(self, examples: Questions, label_type: LabelKind | None) -> Labels:
        if not any(examples.answers or []):
            raise UserError(
                f"{examples.source}: no question has an answer: there is nothing to learn"
            )
        return Labels("none")

    def reading_notes(self, train: Questions, validation: Questions, labels: Labels) -> list[str]:
        parts, notes = (train, validation), []
        unanswerable = [sum(not listed for listed in part.answers or []) for part in parts]
        for part, count in zip(parts, unanswerable, strict=True):
            if count:
                notes.append(f"{part.source}: {count:,} of {len(part):,} questions have no answer")
        if unanswerable[1] and not unanswerable[0]:
            notes.append(
                f"{train.source}: all questions have an answer, so the model does not learn to "
                "give no answer"
            )
        keys = [
            [key_of(part.questions[index], part.context(index)) for index in range(len(part))]
            for part in parts
        ]
        known, contexts = set(keys[0]), {context for _, context in keys[0]}
        if both := sum(key in known for key in keys[1]):
            notes.append(
                f"{validation.source}: {both:,} of its questions are in {train.source}, too"
            )
        elif shared := sum(context in contexts for _, context in keys[1]):
            notes.append(
                f"{validation.source}: {shared:,} of its questions are about contexts of "
                f"{train.source}: of new contexts the model will know less"
            )
        for part, of_part in zip(parts, keys, strict=True):
            if repeated := len(part) - len(set(of_part)):
                notes.append(f"{part.source}: {repeated:,} questions are there more than once")
        return notes

    def encode_examples(
        self, examples: Questions, labels: Labels, preparation: TextPreparation
    ) -> EncodedQuestions:
        return encode_questions(examples, preparation)

    def build_model(self, encoder: BertEncoder, labels: Labels, dropout: float) -> SpanModel:
        return SpanModel(encoder)

    def parameter_names(self) -> NameTable:
        return parameter_names()

    def selection_metric(self, labels: Labels) -> str:
        return "f1"

    def chance(self, encoded: EncodedQuestions, examples: Questions, labels: Labels) -> float:
        return answers.chance(examples)

    def fit(
        self, scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> Labels:
        return answers.fit_threshold(scores, encoded, examples, labels)

    def metrics(
        self, scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> dict[str, float]:
        return answers.measure(scores, encoded, examples, labels)

    def decode(
        self, scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> list[Prediction]:
        return answers.decode(scores, encoded, examples, labels)

    def records(
        self, examples: Questions, predictions: Sequence[Prediction]
    ) -> Iterator[dict[str, Any]]:
        return answers.records(examples, predictions)

    def count_predictions(
        self, predictions: Sequence[Prediction], labels: Labels
    ) -> dict[str, Any]:
        return answers.count_predictions(predictions)

    def card_example(self, labels: Labels) -> CardExample:
        return CardExample('"A text." --question "A question?"', '"A question?", "A text."', _CODE)
