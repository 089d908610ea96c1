"""Questions with their contexts as token ids: ``[CLS] question [SEP] context [SEP]`` (BERT §4.2).

A context that does not fit into the sequence is read in overlapping windows.

Shapes: N questions, C contexts, W windows, B of them in a batch, T tokens of all windows,
K tokens of all contexts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from selfsup.encoder.packing import Packing
from selfsup.shards.arrays import concatenated_ranges
from selfsup.tasks.batches import TokenBatch
from selfsup.tasks.encoders import TextPreparation
from selfsup.tasks.notes import tokenizer_notes
from selfsup.tasks.question_answering.data import Answer, Questions
from selfsup.tasks.text_windows import (
    IGNORE_INDEX,
    assemble_windows,
    limited_overlap,
    plain_tokenizer,
    sequence_layout,
    text_blocks,
    whole_characters,
    windows,
)

_MAX_QUESTION_TOKENS = 64


@dataclass(frozen=True)
class TokenizedContexts:
    """C contexts as tokens. A context is tokenized once, however many questions it has.

    Attributes:
        input_ids: int32 [K], without ``[CLS]`` and ``[SEP]``.
        offsets: int32 [K, 2], each token's first character and the one after its last.
        first_tokens: int64 [C + 1], the index of each context's first token.
    """

    input_ids: np.ndarray
    offsets: np.ndarray
    first_tokens: np.ndarray

    def characters(self, spans: np.ndarray) -> list[tuple[int, int]]:
        """The first character, and the one after the last, of spans of tokens, int64 [S, 2]."""
        if not len(self.offsets):
            return [(0, 0)] * len(spans)
        starts, ends = self.offsets[spans[:, 0], 0], self.offsets[spans[:, 1], 1]
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True)
class AnswerBatch(TokenBatch):
    """B windows with their answers.

    Attributes:
        labels: int64 [B, 2], as in ``AnswerWindows``.
    """

    labels: Tensor


@dataclass(frozen=True)
class AnswerWindows:
    """W windows of N questions, those of a question one after the other.

    Attributes:
        input_ids: int32 [T], all windows concatenated.
        token_type_ids: int8 [T], 1 in the context and the ``[SEP]`` after it.
        lengths: int64 [W], tokens of each window.
        labels: int64 [W, 2], the positions in the window of the answer's first and last token.
            0, which is ``[CLS]``, where the window does not hold the whole answer; -100 where the
            answer is unknown.
        question_of: int64 [W], the index of the question, ascending.
        context_positions: int64 [W], the position in the window of the context's first token.
        first_tokens: int64 [W], the index of that token among the K.
        contexts: the contexts' tokens.
        question_count: N.
        truncated: how many questions were too long and lost their end.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    question_of: np.ndarray
    context_positions: np.ndarray
    first_tokens: np.ndarray
    contexts: TokenizedContexts
    question_count: int
    truncated: int

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def context_lengths(self) -> np.ndarray:
        """Tokens of the context in each window, int64 [W]."""
        return self.lengths - self.context_positions - 1

    @property
    def row_counts(self) -> np.ndarray:
        """All tokens of a window are scored, int64 [W]."""
        return self.lengths

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """Each window is a training unit: ``indices``."""
        return indices

    def batch(self, indices: np.ndarray) -> AnswerBatch:
        """The windows at ``indices``, int64 [B], in that order."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[indices]
        rows = concatenated_ranges(starts[indices], lengths)
        return AnswerBatch(
            torch.from_numpy(self.input_ids[rows]).long(),
            torch.from_numpy(self.token_type_ids[rows]).long(),
            Packing.from_lengths(torch.from_numpy(lengths)),
            torch.from_numpy(self.labels[indices]),
        )


@dataclass(frozen=True)
class EncodedQuestions:
    """N questions as token ids, with the most tokens of an answer, and notes for the user."""

    windows: AnswerWindows
    max_answer_length: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.windows.question_count

    @property
    def units(self) -> AnswerWindows:
        """Each window is a training unit."""
        return self.windows


def encode_questions(examples: Questions, preparation: TextPreparation) -> EncodedQuestions:
    """Questions and their contexts as windows, with notes on long and unusable ones."""
    limits = preparation.limits
    windows = answer_windows(preparation.tokenizer, examples, limits.max_length, limits.doc_stride)
    notes, source = [], examples.source
    several = len(np.unique(windows.question_of[1:][np.diff(windows.question_of) == 0]))
    if several:
        notes.append(
            f"{source}: {several:,} of {len(examples):,} questions do not fit with their context "
            f"in {limits.max_length} tokens; it is read in windows"
        )
    if windows.truncated:
        most = max_question_tokens(limits.max_length)
        notes.append(f"{source}: {windows.truncated:,} questions cut at {most} tokens")
    unknown = np.unique(windows.question_of[windows.labels[:, 0] == IGNORE_INDEX])
    if examples.answers is not None and len(unknown):
        notes.append(
            f"{source}: {len(unknown):,} answers hold no token and are not learned from (the first "
            f"is that of question {examples.ids[int(unknown[0])]})"
        )
    texts = [*examples.questions, *examples.contexts]
    notes += tokenizer_notes(source, preparation.tokenizer, texts)
    return EncodedQuestions(windows, limits.max_answer_length, tuple(notes))


def answer_windows(
    tokenizer: Tokenizer, questions: Questions, max_length: int, doc_stride: int
) -> AnswerWindows:
    """Turn questions and their contexts into windows.

    Args:
        tokenizer: gives character offsets, as all of the ``tokenizers`` library do.
        questions: N of them. A question with several answers is labelled with the one that is
            listed most often, and with the first of these if there are several.
        max_length: most tokens of a window.
        doc_stride: tokens of the context that consecutive windows share, limited to half of the
            context's room.
    """
    layout = sequence_layout(tokenizer, paired=True)
    tokenizer = plain_tokenizer(tokenizer, special_as_text=True)
    contexts = tokenize_contexts(tokenizer, questions.contexts)
    asked, truncated = _question_tokens(tokenizer, questions.questions, max_length)

    asked_lengths = np.asarray(list(map(len, asked)), np.int64)
    context_lengths = np.diff(contexts.first_tokens)[questions.context_of]
    room = max_length - layout.special_in_pair - asked_lengths
    spans = windows(context_lengths, room, limited_overlap(doc_stride, room))
    first_tokens = contexts.first_tokens[questions.context_of][spans.texts] + spans.starts
    input_ids, token_type_ids, lengths = assemble_windows(
        [
            (np.concatenate([asked[index] for index in spans.texts]), asked_lengths[spans.texts]),
            (contexts.input_ids[concatenated_ranges(first_tokens, spans.lengths)], spans.lengths),
        ],
        layout,
    )
    context_positions = 1 + layout.separators + asked_lengths[spans.texts]
    labels = np.full((len(lengths), 2), IGNORE_INDEX, np.int64)
    if questions.answers is not None:
        answers = _token_spans(questions.answers, questions.context_of, contexts)[spans.texts]
        within = answers - first_tokens[:, None]
        is_whole = (within[:, 0] >= 0) & (within[:, 1] < spans.lengths)
        labels = np.where(is_whole[:, None], within + context_positions[:, None], 0)
        labels[answers[:, 0] == IGNORE_INDEX] = IGNORE_INDEX
    return AnswerWindows(
        input_ids, token_type_ids, lengths, labels, spans.texts, context_positions, first_tokens,
        contexts, len(questions), truncated,
    )  # fmt: skip


def max_question_tokens(max_length: int) -> int:
    """Longer questions are truncated, so that half of a window is left for the context."""
    return max(1, min(_MAX_QUESTION_TOKENS, (max_length - 3) // 2))


def tokenize_contexts(tokenizer: Tokenizer, contexts: Sequence[str]) -> TokenizedContexts:
    """Each context's tokens and their character offsets."""
    input_ids, offsets = [np.empty(0, np.int32)], [np.empty((0, 2), np.int32)]
    lengths = [0]
    for texts in text_blocks(contexts):
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
        for text, encoding in zip(texts, encodings, strict=True):
            input_ids.append(np.asarray(encoding.ids, np.int32))
            spans = whole_characters(text, _without_spaces(text, encoding.offsets))
            offsets.append(np.asarray(spans, np.int32).reshape(-1, 2))
            lengths.append(len(encoding))
    return TokenizedContexts(np.concatenate(input_ids), np.concatenate(offsets), np.cumsum(lengths))


def _without_spaces(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The characters of each token without the spaces around a word, which some tokens hold."""
    found = []
    for start, end in offsets:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        found.append((start, end))
    return found


def _question_tokens(
    tokenizer: Tokenizer, questions: Sequence[str], max_length: int
) -> tuple[list[np.ndarray], int]:
    """The ids of each question, int32, and how many questions were truncated."""
    most = max_question_tokens(max_length)
    input_ids, truncated = [], 0
    for texts in text_blocks(questions):
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            ids = np.asarray(encoding.ids, np.int32)
            truncated += len(ids) > most
            input_ids.append(ids[:most])
    return input_ids, truncated


def _token_spans(
    answers: Sequence[tuple[Answer, ...]], context_of: np.ndarray, contexts: TokenizedContexts
) -> np.ndarray:
    """First and last token of each question's answer among the K, int64 [N, 2].

    -1 where there is no answer; -100 where there is an answer that no token covers.
    """
    spans = np.full((len(answers), 2), -1, np.int64)
    for index, listed in enumerate(answers):
        if not listed:
            continue
        answer = max(listed, key=listed.count)
        # No token covers white space around the answer.
        begin = answer.start + len(answer.text) - len(answer.text.lstrip())
        end = answer.start + len(answer.text.rstrip())
        first, last = contexts.first_tokens[context_of[index] :][:2]
        offsets = contexts.offsets[first:last]
        begin_token = int(np.searchsorted(offsets[:, 1], begin, side="right"))
        end_token = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
        spans[index] = IGNORE_INDEX
        if begin_token <= end_token:
            spans[index] = first + begin_token, first + end_token
    return spans
