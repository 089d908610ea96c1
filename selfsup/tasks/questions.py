"""Questions about contexts, in whatever form they came.

Shapes: N questions, C different contexts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from selfsup.errors import UserError


class Answer(NamedTuple):
    """A part of a context.

    Attributes:
        text: what stands there, character by character.
        start: its first character's place in the context, from 0.
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
        context_of: which context each question is about, int64 [N].
        answers: what each question may be answered with, as the file lists it; nothing where the
            context holds no answer. None where only questions were read.
        may_be_unanswerable: whether some questions have no answer, as in SQuAD 2.0, or the file
            says that it is of that form.
        notes: what the user should know of how the file was read, a sentence each.
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

    def texts(self) -> list[str]:
        """All texts: the contexts, then the questions."""
        return self.contexts + self.questions

    def without_empty(self) -> "Questions":
        """The same without questions that say nothing, or about nothing: they teach nothing."""
        has_text = np.asarray([bool(context.strip()) for context in self.contexts])
        asked = np.asarray([bool(question.strip()) for question in self.questions])
        kept = np.flatnonzero(asked & has_text[self.context_of])
        if len(kept) == len(self):
            return self
        if not len(kept):
            raise UserError(f"{self.source}: all questions or contexts are empty: add some")
        first = self.ids[int(np.setdiff1d(np.arange(len(self)), kept)[0])]
        note = (
            f"{self.source}: {len(self) - len(kept)} questions left out whose text or context is "
            f"empty (the first is {first})"
        )
        return replace(
            self,
            ids=[self.ids[place] for place in kept],
            questions=[self.questions[place] for place in kept],
            context_of=self.context_of[kept],
            answers=None if self.answers is None else [self.answers[place] for place in kept],
            notes=(*self.notes, note),
        )


def unlabelled_questions(questions: Sequence[str], contexts: Sequence[str]) -> Questions:
    """Questions that stand in no file, each with its context; their ids are their numbers."""
    different = {context: number for number, context in enumerate(dict.fromkeys(contexts))}
    return Questions(
        "",
        [str(number) for number in range(1, len(questions) + 1)],
        list(questions),
        list(different),
        np.asarray([different[context] for context in contexts], np.int64),
        None,
        False,
    )
