"""Batches of text, to train on and to measure with, and what an objective is to them.

Sequences are packed: a batch holds them one after the other, without padding. Shapes: B sequences,
T tokens in all, M masked tokens, D width.
"""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.counter_random import permutation
from selfsup.encoder.family import TextFamily
from selfsup.encoder.huggingface.names import NameTable
from selfsup.encoder.packing import Packing, Queries
from selfsup.errors import UserError
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.sequences import SequencePlan, Sequences, TextCorpus, full_sequences
from selfsup.settings.objectives import TEXT_MEASUREMENTS

_ORDER = 0x4F52444552
_HELD_OUT_SEED, _HELD_OUT_BATCH_TOKENS = 0x4556414C, 8192


@dataclass(frozen=True)
class TextBatch:
    """B packed sequences of T tokens, M of which are masked.

    Attributes:
        input_ids: int64 [T], after masking.
        token_type_ids: int64 [T].
        packing: where each sequence begins.
        masked_rows: int64 [M], which of the T tokens are masked.
        labels: by objective, the right answers to its predictions, int64.
        queries: the tokens whose last states the heads read: each sequence's first, and the masked
            ones.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    packing: Packing
    masked_rows: Tensor
    labels: dict[str, Tensor]
    queries: Queries

    @property
    def token_count(self) -> int:
        """T."""
        return len(self.input_ids)

    @property
    def predictions(self) -> dict[str, int]:
        """How many predictions each objective makes."""
        return {name: len(labels) for name, labels in self.labels.items()}

    def to(self, device: torch.device) -> "TextBatch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        return TextBatch(
            self.input_ids.to(device),
            self.token_type_ids.to(device),
            self.packing.to(device),
            self.masked_rows.to(device),
            {name: labels.to(device) for name, labels in self.labels.items()},
            self.queries.to(device),
        )


class TextStates(NamedTuple):
    """The encoder's output for a batch, as far as heads read it.

    Attributes:
        masked: the last layer's vectors of the masked tokens, [M, D].
        pooler_output: a vector for each sequence, [B, D].
    """

    masked: Tensor
    pooler_output: Tensor


class TextObjective(nn.Module, ABC):
    """Something that an encoder of text can learn without labels: the head that predicts it.

    Attributes:
        name: its name on the command line; ``selfsup.settings.objectives`` lists it.
        plan: how it needs the corpus to be cut into sequences, a function with the arguments of
            ``full_sequences``; None if any way will do.
        min_documents: how many documents it needs to train on, and as many to measure with.
        segments: how many segments the model must tell apart.
        reads_pooler: whether it reads the pooler, which not all families have.
        architecture: how the class of ``transformers`` for a model with this head alone ends.
    """

    name: ClassVar[str]
    plan: ClassVar[Callable[..., SequencePlan] | None] = None
    min_documents: ClassVar[int] = 1
    segments: ClassVar[int] = 1
    reads_pooler: ClassVar[bool] = False
    architecture: ClassVar[str] = "ForPreTraining"

    @staticmethod
    @abstractmethod
    def labels(sequences: Sequences, masked: np.ndarray) -> np.ndarray:
        """The right answers for a batch, int64.

        Args:
            sequences: before masking.
            masked: the masked tokens' ids, int64 [M].
        """

    @classmethod
    @abstractmethod
    def weight_names(cls, family: TextFamily) -> NameTable:
        """The head's modules, and what a Hugging Face folder of a model with it calls them.

        The empty name is the head itself.
        """

    @abstractmethod
    def loss(self, states: TextStates, labels: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of predictions."""

    def products(self, batch: TextBatch) -> int:
        """Multiplications in the head's matrix products, forward; 0 if too few to matter."""
        return 0


@dataclass(frozen=True)
class TextData:
    """Documents of a corpus, and how they become batches.

    Attributes:
        corpus: holds the documents.
        documents: their numbers, int64.
        masking: how tokens are chosen and replaced.
        objectives: what is learned.
        max_length: of a sequence, in tokens.
    """

    corpus: TextCorpus
    documents: np.ndarray
    masking: Masking
    objectives: Sequence[type[TextObjective]]
    max_length: int

    def plan(self, seed: int, epoch: int) -> SequencePlan:
        """Cut the documents into sequences as the objectives need them, else into full ones.

        Raises:
            UserError: two objectives need different sequences.
        """
        needed = {each.plan: each.name for each in self.objectives if each.plan is not None}
        if len(needed) > 1:
            raise UserError(
                f"--objectives: {' and '.join(needed.values())} cut the text in different ways: "
                "name only one of them"
            )
        plan = next(iter(needed), full_sequences)
        special = self.masking.special
        return plan(self.corpus, self.documents, special, self.max_length, seed, epoch)

    def batch(self, plan: SequencePlan, examples: np.ndarray, seed: int, epoch: int) -> TextBatch:
        """Build the sequences of a plan with these numbers, int64 [B], and mask tokens in them."""
        sequences = plan.take(examples)
        input_ids, masked_rows, masked_ids = self.masking.mask(sequences, seed, epoch)
        packing = Packing.from_lengths(torch.from_numpy(sequences.lengths))
        masked = torch.from_numpy(masked_rows)
        return TextBatch(
            input_ids=torch.from_numpy(input_ids),
            token_type_ids=torch.from_numpy(sequences.token_type_ids),
            packing=packing,
            masked_rows=masked,
            labels={
                each.name: torch.from_numpy(each.labels(sequences, masked_ids))
                for each in self.objectives
            },
            queries=Queries.at(torch.cat([packing.first_rows, masked]), packing),
        )


class TextBatches:
    """The training batches of one maximum length, each a function of (seed, step).

    Holds the plan of one epoch at a time; asking for another epoch's step plans that epoch.

    Attributes:
        epoch: the epoch that is planned, -1 before the first step is asked for.
        end_step: the first step after that epoch.
    """

    def __init__(self, data: TextData, batch_size: int, seed: int) -> None:
        self._data, self._batch_size, self._seed = data, batch_size, seed
        self.epoch = -1
        self.end_step = 0
        self._first_step = 0

    def __getitem__(self, step: int) -> TextBatch:
        """The batch of a step, from 0; the sizes of an epoch's batches differ by at most one."""
        if step < self._first_step:
            self.epoch, self.end_step = -1, 0
        while step >= self.end_step:
            self._begin_epoch(self.epoch + 1)
        steps = self.end_step - self._first_step
        first, last = (len(self._order) * (step - self._first_step + i) // steps for i in (0, 1))
        examples = self._order[first:last]
        return self._data.batch(self._plan, examples, self._seed, self.epoch)

    def _begin_epoch(self, epoch: int) -> None:
        self._plan = self._data.plan(self._seed, epoch)
        self._order = permutation(len(self._plan), self._seed, epoch, _ORDER)
        steps = -(-len(self._plan) // self._batch_size)
        self.epoch, self._first_step = epoch, self.end_step
        self.end_step += steps


class HeldOutText:
    """Fixed sequences of the held-out documents, with fixed tokens masked.

    Every model is measured in the same way, however it was trained: 15 % of the tokens are chosen
    one by one; of these 80 % are masked, 10 % replaced and 10 % kept; in float32.
    """

    def __init__(self, data: TextData) -> None:
        masking = replace(data.masking, probability=0.15, unit="token")
        self._data = replace(data, masking=masking)
        self._plan = self._data.plan(_HELD_OUT_SEED, 0)
        self._order = np.random.default_rng(_HELD_OUT_SEED).permutation(len(self._plan))
        self._batch_size = max(1, _HELD_OUT_BATCH_TOKENS // data.max_length)

    def __len__(self) -> int:
        """How many tokens the sequences hold, but for special ones."""
        return int(self._plan.lengths.sum())

    def measure(
        self, model: nn.Module, device: torch.device, max_tokens: int | None = None
    ) -> dict[str, float | None]:
        """Measure on all sequences, or on the first that hold about ``max_tokens`` tokens.

        Returns:
            losses in nats (``mlm_loss``) and shares of right answers (``mlm_accuracy``), means
            over predictions; None for what the model does not learn.
        """
        was_training = model.training
        model.eval()
        losses, right, counts = defaultdict(float), Counter(), Counter()
        seen = 0
        with torch.inference_mode():
            for begin in range(0, len(self._order), self._batch_size):
                if max_tokens is not None and seen >= max_tokens:
                    break
                examples = self._order[begin : begin + self._batch_size]
                batch = self._data.batch(self._plan, examples, _HELD_OUT_SEED, 0).to(device)
                seen += batch.token_count
                for name, (loss, hits, count) in model(batch).items():
                    losses[name] += float(loss) * count
                    right[name] += int(hits)
                    counts[name] += count
        model.train(was_training)
        means = {f"{name}_loss": losses[name] / count for name, count in counts.items() if count}
        means |= {f"{name}_accuracy": right[name] / n for name, n in counts.items() if n}
        return {number.key: means.get(number.key) for number in TEXT_MEASUREMENTS}
