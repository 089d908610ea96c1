"""Extractive question answering: find the span of a context that answers a question (BERT §4.2).

Shapes: N questions, W windows, B of them in a batch, T tokens, L of the longest window, D width.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.attention import pad
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.names import NameTable
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Prediction, Reading, Task
from selfsup.tasks.encoders import TEXT_ENCODERS, TextPreparation
from selfsup.tasks.labels import LabelKind, Labels
from selfsup.tasks.models import Losses, ScoreLayer, TaskModule
from selfsup.tasks.notes import key_of
from selfsup.tasks.question_answering.data import Questions, unlabelled_questions
from selfsup.tasks.question_answering.decoding import (
    BestSpans,
    best_spans,
    fit_null_threshold,
    is_answered,
)
from selfsup.tasks.question_answering.files import read_squad, read_squad_blocks
from selfsup.tasks.question_answering.squad_metrics import question_scores, squad_metrics
from selfsup.tasks.question_answering.windows import (
    AnswerBatch,
    EncodedQuestions,
    encode_questions,
)
from selfsup.tasks.text_windows import IGNORE_INDEX

# How many spans are listed for each question, the best first.
N_BEST = 5
# The entry of ``Labels.fitted``: by how much an answer must score above no answer (BERT's τ).
# Without it a model answers every question, as models for SQuAD 1.1 do.
NULL_THRESHOLD = "null_threshold"
# transformers has no pipeline for questions since its version 5.
_CODE = """\
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

model = AutoModelForQuestionAnswering.from_pretrained("{run}/model")
tokenizer = AutoTokenizer.from_pretrained("{run}/model")
scores = model(**tokenizer({inputs}, return_tensors="pt"))  # start_logits, end_logits"""


class QuestionAnswering(Task[Questions, EncodedQuestions]):
    """Question answering in the form of SQuAD."""

    name = "question-answering"
    architecture = "ForQuestionAnswering"
    family = TEXT_ENCODERS
    label_kinds: tuple[LabelKind, ...] = ("none",)
    pipeline = "question-answering"
    fits_head = False
    segments = 2  # question and context
    default_max_length = 384  # as usual for SQuAD: 4 % of its contexts are longer
    writes_answers_by_id = True

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> Questions:
        return read_squad(file, labelled=labelled, encoding=reading.columns.file_format.encoding)

    def read_blocks(
        self, file: str, reading: Reading, tell: Callable[[str], None], size: int
    ) -> Iterator[Questions]:
        encoding = reading.columns.file_format.encoding
        return read_squad_blocks(file, tell, size, labelled=False, encoding=encoding)

    def examples_of(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None, first: int = 1
    ) -> Questions:
        if text_pairs is None:
            raise UserError(
                f"this model does {self.name}: give a --question and a text to answer it from"
            )
        if len(text_pairs) != len(texts):
            raise ValueError(f"{len(texts)} questions and {len(text_pairs)} contexts")
        return unlabelled_questions(texts, text_pairs, first)

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

    def build_model(self, encoder: TextEncoder, labels: Labels, dropout: float) -> "SpanModel":
        return SpanModel(encoder, dropout)

    def parameter_names(self, config: EncoderConfig) -> NameTable:
        family = text_family(config)
        return {
            **family.encoder_names("encoder."),
            **family.spans.parameter_names("qa_outputs"),
        }

    def selection_metric(self, labels: Labels) -> str:
        return "f1"

    def baseline(
        self, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> dict[str, float]:
        """The metrics of no answer, or of the whole context if its F1 is higher."""
        empty = _squad_metrics([""] * len(examples), examples)
        contexts = [examples.context(index) for index in range(len(examples))]
        whole = _squad_metrics(contexts, examples)
        return max(empty, whole, key=lambda found: found["f1"])

    def fit(
        self, scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> Labels:
        """With the threshold of no answer that gives the highest F1, if some have no answer."""
        assert examples.answers is not None
        if not examples.may_be_unanswerable or all(examples.answers):
            return labels
        found = best_spans(scores, encoded.windows, encoded.max_answer_length, 1)
        texts, accepted = _best_texts(found, encoded, examples), examples.accepted()
        f1 = [
            question_scores(text, answers, may_be_unanswerable=True)[1]
            for text, answers in zip(texts, accepted, strict=True)
        ]
        has_answer = np.asarray(list(map(bool, accepted)))
        threshold = fit_null_threshold(found.margins, np.asarray(f1), has_answer)
        return replace(labels, fitted={**labels.fitted, NULL_THRESHOLD: threshold})

    def metrics(
        self, scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> dict[str, float]:
        """``exact_match`` and ``f1`` as SQuAD defines them, as shares; see ``squad_metrics``.

        ``loss`` is the mean over the windows, in nats.
        """
        found = best_spans(scores, encoded.windows, encoded.max_answer_length, 1)
        answered = is_answered(found, labels.fitted.get(NULL_THRESHOLD))
        best = _best_texts(found, encoded, examples)
        texts = [text if has else "" for text, has in zip(best, answered, strict=True)]
        windows = encoded.windows
        tensors = map(torch.from_numpy, (scores, windows.lengths, windows.labels))
        return {**_squad_metrics(texts, examples), "loss": mean_loss(*tensors)}

    def decode(
        self, scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
    ) -> Iterator[Prediction]:
        """The answer to each question, and the best spans of its context.

        Yields:
            for each question ``{"answer", "start", "end", "probability", "n_best"}``. The answer is
            the context's characters from ``start`` up to ``end``. No answer is "", and both are
            None. ``n_best`` lists the best answers in the same form. Probabilities are over all
            spans of the context, and no answer if the model may give none.
        """
        found = best_spans(scores, encoded.windows, encoded.max_answer_length, N_BEST)
        threshold = labels.fitted.get(NULL_THRESHOLD)
        # With the threshold added, no answer is given exactly if it is the most probable.
        blank = found.null_scores + threshold if threshold is not None else None
        totals = found.log_totals if blank is None else np.logaddexp(found.log_totals, blank)
        contexts = encoded.windows.contexts
        for index, scores_of_spans in enumerate(found.scores):
            entries = [
                {
                    "answer": examples.context(index)[begin:end],
                    "start": begin,
                    "end": end,
                    "probability": float(np.exp(score - totals[index])),
                }
                for (begin, end), score in zip(
                    contexts.characters(found.tokens[index]), scores_of_spans, strict=True
                )
                if np.isfinite(score)
            ]
            none = {"answer": "", "start": None, "end": None, "probability": 1.0}
            if blank is not None:
                none["probability"] = float(np.exp(blank[index] - totals[index]))
                entries.insert(int((scores_of_spans > blank[index]).sum()), none)
            entries = entries or [none]
            yield {**entries[0], "n_best": entries[:N_BEST]}

    def records(
        self, examples: Questions, predictions: Iterable[Prediction]
    ) -> Iterator[dict[str, Any]]:
        """Each question with its id, the expected answers if known, and the prediction."""
        accepted = None if examples.answers is None else examples.accepted()
        for index, prediction in enumerate(predictions):
            yield {
                "id": examples.ids[index],
                "question": examples.questions[index],
                **({} if accepted is None else {"answers": accepted[index]}),
                **prediction,
            }

    def count_predictions(
        self, predictions: Iterable[Prediction], labels: Labels
    ) -> dict[str, Any]:
        """How many questions were answered."""
        counts = Counter(bool(prediction["answer"]) for prediction in predictions)
        return {"answered": counts[True], "unanswered": counts[False]}

    def card_example(self, labels: Labels) -> CardExample:
        return CardExample('"A text." --question "A question?"', '"A question?", "A text."', _CODE)


def _squad_metrics(texts: list[str], examples: Questions) -> dict[str, float]:
    unanswerable = examples.may_be_unanswerable
    return squad_metrics(texts, examples.accepted(), may_be_unanswerable=unanswerable)


def _best_texts(found: BestSpans, encoded: EncodedQuestions, examples: Questions) -> list[str]:
    """Each question's best span as text; "" if its context is empty."""
    spans = encoded.windows.contexts.characters(found.tokens[:, 0])
    return [
        examples.context(index)[begin:end] if np.isfinite(found.scores[index, 0]) else ""
        for index, (begin, end) in enumerate(spans)
    ]


class SpanModel(TaskModule):
    """An encoder and a linear layer over every token, in BERT without dropout before the layer."""

    def __init__(self, encoder: TextEncoder, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        config = encoder.config
        self.transform = text_family(config).spans.layers(config, dropout)
        self.qa_outputs = ScoreLayer(config.hidden_size, 2)

    def features(self, batch: AnswerBatch) -> Tensor:
        """The encoder's output for each token, [T, D]."""
        return self.encoder.hidden_states(batch.input_ids, batch.token_type_ids, batch.packing)

    @property
    def head(self) -> nn.Module:
        return nn.Sequential(*self.transform, self.qa_outputs)

    def loss(self, output: Tensor, batch: AnswerBatch) -> Losses:
        """The mean cross-entropy of starts and ends over the tokens of each window.

        Windows with an unknown answer are left out.
        """
        padded = pad(output.float(), batch.packing).transpose(1, 2)  # [B, 2, L]
        if batch.packing.padding_bias is not None:
            padded = padded + batch.packing.padding_bias[:, 0]  # [B, 1, L]
        labels = batch.labels
        summed = F.cross_entropy(
            padded.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
        )
        known = (labels != IGNORE_INDEX).sum()
        right = (padded.detach().argmax(-1) == labels).all(-1).sum()
        return {"answer": (summed / known.clamp(min=1), right, len(labels))}


def mean_loss(scores: Tensor, lengths: Tensor, labels: Tensor) -> float:
    """The loss of many windows, from their scores.

    Args:
        scores: float [T, 2], of all windows, concatenated.
        lengths: int64 [W], tokens of each window.
        labels: int64 [W, 2].
    """
    scores = scores.double()
    first_rows = lengths.cumsum(0) - lengths
    top = torch.segment_reduce(scores, "max", lengths=lengths, axis=0)  # [W, 2]
    rest = torch.exp(scores - top.repeat_interleave(lengths, 0))
    logarithm = top + torch.segment_reduce(rest, "sum", lengths=lengths, axis=0).log()
    known = labels[:, 0] != IGNORE_INDEX
    if not known.any():
        return 0.0
    rows = (first_rows[:, None] + labels)[known]
    return float((logarithm[known] - scores.gather(0, rows)).mean())
