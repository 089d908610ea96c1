"""Pre-training on text: batches with something hidden, and the model that predicts it.

What adding an objective takes is in CONTRIBUTING.md.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.counter_random import permutation
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.packing import Packing, Queries
from selfsup.pretraining.text.batch import TextBatch, TextStates
from selfsup.pretraining.text.masked_lm import MaskedLMHead, Masking
from selfsup.pretraining.text.next_sentence import NextSentenceHead, SentencePairs
from selfsup.pretraining.text.sequences import FullSequences, SequencePlan, TextCorpus

TEXT_OBJECTIVES = ("mlm", "nsp")
_ORDER = 0x4F52444552


class TextBatches:
    """The batches of a run of one maximum length, each a function of (seed, step).

    Holds the plan of the epoch in use; asking for another epoch's step plans that one.

    Attributes:
        epoch: the epoch in use, -1 before the first step is asked for.
        end_step: the first step after that epoch.
    """

    def __init__(
        self,
        corpus: TextCorpus,
        documents: np.ndarray,
        masking: Masking,
        objectives: Sequence[str],
        max_length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self._corpus, self._documents, self._masking = corpus, documents, masking
        self._objectives, self._max_length = tuple(objectives), max_length
        self._batch_size, self._seed = batch_size, seed
        self.epoch = -1
        self.end_step = 0
        self._first_step = 0

    def __getitem__(self, step: int) -> TextBatch:
        """The batch of a step, counted from 0; those of an epoch differ by one sequence at most."""
        if step < self._first_step:
            self.epoch, self.end_step = -1, 0
        while step >= self.end_step:
            self._begin_epoch(self.epoch + 1)
        steps = self.end_step - self._first_step
        first, last = (len(self._order) * (step - self._first_step + i) // steps for i in (0, 1))
        examples = self._order[first:last]
        return build_batch(self._plan, examples, self._masking, self._seed, self.epoch)

    def _begin_epoch(self, epoch: int) -> None:
        self._plan = plan_sequences(
            self._corpus,
            self._documents,
            self._masking,
            self._objectives,
            self._max_length,
            self._seed,
            epoch,
        )
        self._order = permutation(len(self._plan), self._seed, epoch, _ORDER)
        steps = -(-len(self._plan) // self._batch_size)
        self.epoch, self._first_step = epoch, self.end_step
        self.end_step += steps


def plan_sequences(
    corpus: TextCorpus,
    documents: np.ndarray,
    masking: Masking,
    objectives: Sequence[str],
    max_length: int,
    seed: int,
    epoch: int,
) -> SequencePlan:
    """Cut the documents into sequences: pairs if next sentences are predicted, else full ones."""
    kind = SentencePairs if "nsp" in objectives else FullSequences
    return kind(corpus, documents, masking.special, max_length, seed, epoch)


def build_batch(
    plan: SequencePlan, examples: np.ndarray, masking: Masking, seed: int, epoch: int
) -> TextBatch:
    """Build sequences, hide tokens in them, and hand them over as tensors."""
    sequences = plan.take(examples)
    input_ids, masked_rows, masked_labels = masking.hide(sequences, seed, epoch)
    is_random_next = sequences.is_random_next
    packing = Packing.from_lengths(torch.from_numpy(sequences.lengths))
    masked = torch.from_numpy(masked_rows)
    return TextBatch(
        input_ids=torch.from_numpy(input_ids),
        token_type_ids=torch.from_numpy(sequences.token_type_ids),
        packing=packing,
        masked_rows=masked,
        masked_labels=torch.from_numpy(masked_labels),
        next_sentence_label=None if is_random_next is None else torch.from_numpy(is_random_next),
        queries=Queries.at(torch.cat([packing.first_rows, masked]), packing),
    )


class TextPreTraining(nn.Module):
    """An encoder with a head for each objective."""

    def __init__(self, encoder: BertEncoder, objectives: Sequence[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = build_heads(encoder, objectives)

    def forward(self, batch: TextBatch) -> dict[str, tuple[Tensor, Tensor, int]]:
        """For each objective: mean loss in nats, right predictions, number of predictions."""
        states = self._states(batch)
        return {name: head.loss(states, batch) for name, head in self.heads.items()}  # type: ignore[operator]

    def _states(self, batch: TextBatch) -> TextStates:
        """The last states of the tokens that the heads look at, and of no others."""
        queries = batch.queries
        states = self.encoder.states_at(
            queries, batch.input_ids, batch.token_type_ids, batch.packing
        )
        masked = torch.searchsorted(queries.rows, batch.masked_rows)
        return TextStates(
            states.index_select(0, masked),
            self.encoder.pool(states.index_select(0, queries.packing.first_rows)),
        )

    def training_flops(self, batch: TextBatch) -> float:
        """Floating-point operations of the matrix products of one batch, forward and backward.

        Two for each weight and token forward, twice that backward; attention's products over the
        sequences' own tokens; the highest layer's queries and what follows them, and the output
        layer, over the tokens asked for only.
        """
        config = self.encoder.config
        width, layers = config.hidden_size, config.num_hidden_layers
        lengths = batch.packing.cu_seqlens.diff().double()
        asked = batch.queries.packing.cu_seqlens.diff().double()
        of_query = 2 * width * width + 2 * width * config.intermediate_size
        of_key = 2 * width * width
        lower = (of_query + of_key) * batch.token_count + 2 * width * float(lengths @ lengths)
        highest = of_query * len(batch.queries.rows) + of_key * batch.token_count
        highest += 2 * width * float(lengths @ asked)
        encoder = (layers - 1) * lower + highest
        in_head = (width * width + width * config.vocab_size) if "mlm" in self.heads else 0
        return 3 * 2 * (encoder + in_head * len(batch.masked_rows))


def build_heads(encoder: BertEncoder, objectives: Sequence[str]) -> nn.ModuleDict:
    """The heads of the objectives, by name."""
    config = encoder.config
    heads: dict[str, nn.Module] = {}
    if "mlm" in objectives:
        heads["mlm"] = MaskedLMHead(
            encoder.embeddings.word, config.hidden_act, config.layer_norm_eps
        )
    if "nsp" in objectives:
        heads["nsp"] = NextSentenceHead(config.hidden_size)
    return nn.ModuleDict(heads)
