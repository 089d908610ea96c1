"""Questions about contexts.

Shapes: N questions, C different contexts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from selfsup.errors import UserError


class Answer(NamedTuple):
    """A part of a context.

    Attributes:
        text: exactly as in the context.
        start: the index of its first character in the context.
    """

    text: str
    start: int


@dataclass(frozen=True)
class Questions:
    """N questions, many of which share a context.

    Attributes:
        source: the file.
        ids: the questions' ids, all different.
        questions: the questions.
        contexts: C different contexts.
        context_of: the index of each question's context, int64 [N].
        answers: the accepted answers of each question, as the file lists them; empty if the context
            holds no answer. None if only questions were read.
        may_be_unanswerable: whether some questions have no answer, as in SQuAD 2.0, or the file
            says that it is of that form.
        notes: sentences for the user on how the file was read.
    """

    source: str
    ids: list[str]
    questions: list[str]
    contexts: list[str]
    context_of: np.ndarray
    answers: list[tuple[Answer, ...]] | None
    may_be_unanswerable: bool
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.questions)

    def context(self, place: int) -> str:
        """The context of a question."""
        return self.contexts[self.context_of[place]]

    def accepted(self) -> list[list[str]]:
        """The texts of each question's answers, which must have been read."""
        assert self.answers is not None
        return [[answer.text for answer in answers] for answers in self.answers]

    def texts(self) -> list[str]:
        """All texts: the contexts, then the questions."""
        return self.contexts + self.questions

    def keys(self) -> list[tuple[str, ...]]:
        """The context of each question."""
        return [(self.context(index),) for index in range(len(self))]

    def without(self, indices: Collection[int], *notes: str) -> "Questions":
        """The others, with notes on why these are left out."""
        kept = sorted(set(range(len(self))).difference(indices))
        contexts, context_of = np.unique(self.context_of[kept], return_inverse=True)
        return replace(
            self,
            ids=[self.ids[index] for index in kept],
            questions=[self.questions[index] for index in kept],
            contexts=[self.contexts[number] for number in contexts],
            context_of=context_of,
            answers=None if self.answers is None else [self.answers[index] for index in kept],
            notes=(*self.notes, *notes),
        )

    def drop_empty(self) -> "Questions":
        """A copy without questions whose text or context is empty."""
        has_text = np.asarray([bool(context.strip()) for context in self.contexts])
        asked = np.asarray([bool(question.strip()) for question in self.questions])
        usable = asked & has_text[self.context_of]
        if usable.all():
            return self
        if not usable.any():
            raise UserError(f"{self.source}: all questions or contexts are empty: add some")
        empty = np.flatnonzero(~usable)
        note = (
            f"{self.source}: {len(empty)} questions left out whose text or context is empty "
            f"(the first is {self.ids[empty[0]]})"
        )
        return self.without(empty.tolist(), note)


def unlabelled_questions(
    questions: Sequence[str], contexts: Sequence[str], first: int = 1
) -> Questions:
    """Questions without a file, each with its context; their ids are numbers from ``first`` on."""
    different = {context: number for number, context in enumerate(dict.fromkeys(contexts))}
    ids = [str(number) for number in range(first, first + len(questions))]
    context_of = np.asarray([different[context] for context in contexts], np.int64)
    return Questions("", ids, list(questions), list(different), context_of, None, False)
