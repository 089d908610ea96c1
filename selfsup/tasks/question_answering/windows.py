"""Questions with windows of their contexts: ``[CLS] question [SEP] window [SEP]`` (BERT §4.2).

A context that does not fit beside its question is read through overlapping windows.

Shapes: N questions, C contexts, W windows, T tokens laid end to end, K tokens of all contexts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from selfsup.encoder.packing import Packing
from selfsup.shards.folder import concatenated_ranges
from selfsup.tasks.classification.encoding import IGNORE_INDEX
from selfsup.tasks.question_answering.data import Answer, Questions
from selfsup.tasks.text_encoding import laid_out, plain, special_ids, text_blocks
from selfsup.tasks.text_windows import shared, windows

_MAX_QUESTION_TOKENS = 64


@dataclass(frozen=True)
class TokenizedContexts:
    """C contexts as tokens, each once however many questions it has.

    Attributes:
        input_ids: int32 [K], without ``[CLS]`` and ``[SEP]``.
        offsets: int32 [K, 2], the characters from and to which each token stands.
        first_tokens: int64 [C + 1], where each context begins in them.
    """

    input_ids: np.ndarray
    offsets: np.ndarray
    first_tokens: np.ndarray


@dataclass(frozen=True)
class AnswerBatch:
    """B windows laid end to end in T tokens.

    Attributes:
        input_ids: int64 [T].
        token_type_ids: int64 [T].
        packing: where each window begins.
        labels: int64 [B, 2], as in ``AnswerWindows``.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    packing: Packing
    labels: Tensor

    @property
    def token_count(self) -> int:
        """T."""
        return len(self.input_ids)

    def to(self, device: torch.device) -> "AnswerBatch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        return AnswerBatch(
            self.input_ids.to(device),
            self.token_type_ids.to(device),
            self.packing.to(device),
            self.labels.to(device),
        )


@dataclass(frozen=True)
class AnswerWindows:
    """W windows of N questions, those of a question one after the other.

    Attributes:
        input_ids: int32 [T], of all windows laid end to end.
        token_type_ids: int8 [T], 1 in the context and the ``[SEP]`` after it.
        lengths: int64 [W], tokens in each window.
        labels: int64 [W, 2], places in the window of the answer's first and last token; 0, which is
            ``[CLS]``, where the window does not hold it whole; -100 where it is unknown.
        question_of: int64 [W], ascending.
        context_places: int64 [W], the place in the window of its first token of the context.
        first_tokens: int64 [W], that token's number among the K.
        contexts: the contexts' tokens.
        question_count: N.
        cut: how many questions were longer than allowed, and lost their end.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    question_of: np.ndarray
    context_places: np.ndarray
    first_tokens: np.ndarray
    contexts: TokenizedContexts
    question_count: int
    cut: int

    def __len__(self) -> int:
        """W."""
        return len(self.lengths)

    @property
    def context_lengths(self) -> np.ndarray:
        """Tokens of the context in each window, int64 [W]."""
        return self.lengths - self.context_places - 1

    @property
    def row_counts(self) -> np.ndarray:
        """Every token of a window is scored, int64 [W]."""
        return self.lengths

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """A window is learnt from by itself: ``places``."""
        return places

    def batch(self, places: np.ndarray) -> AnswerBatch:
        """The windows at ``places``, int64 [B], in that order."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[places]
        rows = concatenated_ranges(starts[places], lengths)
        return AnswerBatch(
            torch.from_numpy(self.input_ids[rows]).long(),
            torch.from_numpy(self.token_type_ids[rows]).long(),
            Packing.from_lengths(torch.from_numpy(lengths)),
            torch.from_numpy(self.labels[places]),
        )


def answer_windows(
    tokenizer: Tokenizer, questions: Questions, max_length: int, doc_stride: int
) -> AnswerWindows:
    """Turn questions and their contexts into windows.

    Args:
        tokenizer: gives places in the text, as those of the ``tokenizers`` library do.
        questions: N of them. Where they have answers, the windows are labelled with the one that
            is listed most often, the first of several such.
        max_length: most tokens of a window.
        doc_stride: tokens of the context that a window shares with the next one, at most half of
            those that it has room for.
    """
    cls, sep = special_ids(tokenizer, paired=True)
    tokenizer = plain(tokenizer, special_as_text=True)
    contexts = tokenize_contexts(tokenizer, questions.contexts)
    asked, cut = _question_tokens(tokenizer, questions.questions, max_length)

    asked_lengths = np.asarray(list(map(len, asked)), np.int64)
    context_lengths = np.diff(contexts.first_tokens)[questions.context_of]
    room = max_length - 3 - asked_lengths
    spans = windows(context_lengths, room, shared(doc_stride, room))
    first_tokens = contexts.first_tokens[questions.context_of][spans.texts] + spans.starts
    input_ids, token_type_ids, lengths = laid_out(
        [
            (np.concatenate([asked[place] for place in spans.texts]), asked_lengths[spans.texts]),
            (contexts.input_ids[concatenated_ranges(first_tokens, spans.lengths)], spans.lengths),
        ],
        cls,
        sep,
    )
    context_places = 2 + asked_lengths[spans.texts]
    labels = np.full((len(lengths), 2), IGNORE_INDEX, np.int64)
    if questions.answers is not None:
        answers = _token_spans(questions.answers, questions.context_of, contexts)[spans.texts]
        within = answers - first_tokens[:, None]
        is_whole = (within[:, 0] >= 0) & (within[:, 1] < spans.lengths)
        labels = np.where(is_whole[:, None], within + context_places[:, None], 0)
        labels[answers[:, 0] == IGNORE_INDEX] = IGNORE_INDEX
    return AnswerWindows(
        input_ids, token_type_ids, lengths, labels, spans.texts, context_places, first_tokens,
        contexts, len(questions), cut,
    )  # fmt: skip


def most_question_tokens(max_length: int) -> int:
    """Of a longer question the end is cut, so that half of a window is left for the context."""
    return max(1, min(_MAX_QUESTION_TOKENS, (max_length - 3) // 2))


def tokenize_contexts(tokenizer: Tokenizer, contexts: Sequence[str]) -> TokenizedContexts:
    """Each context's tokens and where they stand in it."""
    input_ids, offsets = [np.empty(0, np.int32)], [np.empty((0, 2), np.int32)]
    lengths = [0]
    for texts in text_blocks(contexts):
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            input_ids.append(np.asarray(encoding.ids, np.int32))
            offsets.append(np.asarray(encoding.offsets, np.int32).reshape(-1, 2))
            lengths.append(len(encoding))
    return TokenizedContexts(np.concatenate(input_ids), np.concatenate(offsets), np.cumsum(lengths))


def _question_tokens(
    tokenizer: Tokenizer, questions: Sequence[str], max_length: int
) -> tuple[list[np.ndarray], int]:
    """The ids of each question, int32, and how many questions were cut."""
    most = most_question_tokens(max_length)
    input_ids, cut = [], 0
    for texts in text_blocks(questions):
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            ids = np.asarray(encoding.ids, np.int32)
            cut += len(ids) > most
            input_ids.append(ids[:most])
    return input_ids, cut


def _token_spans(
    answers: Sequence[tuple[Answer, ...]], context_of: np.ndarray, contexts: TokenizedContexts
) -> np.ndarray:
    """First and last token of each question's answer, among the K, int64 [N, 2].

    -1 where there is no answer; -100 where there is one, but no token stands at it.
    """
    spans = np.full((len(answers), 2), -1, np.int64)
    for place, listed in enumerate(answers):
        if not listed:
            continue
        answer = max(listed, key=listed.count)
        # Blanks around it are none of its tokens.
        begin = answer.start + len(answer.text) - len(answer.text.lstrip())
        end = answer.start + len(answer.text.rstrip())
        first, last = contexts.first_tokens[context_of[place] :][:2]
        offsets = contexts.offsets[first:last]
        begin_token = int(np.searchsorted(offsets[:, 1], begin, side="right"))
        end_token = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
        spans[place] = IGNORE_INDEX
        if begin_token <= end_token:
            spans[place] = first + begin_token, first + end_token
    return spans
