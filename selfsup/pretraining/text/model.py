"""The model of pre-training on text, an encoder with a head for each objective, and its folder.

Hugging Face's model folders hold the encoder and the heads that ``transformers`` knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from selfsup.encoder.families import text_family
from selfsup.encoder.family import TextFamily
from selfsup.encoder.huggingface.config import architecture_of, config_of, read_config
from selfsup.encoder.huggingface.folder import check_sizes, load_weights, read_weights, save_model
from selfsup.encoder.huggingface.names import NameTable, hugging_face_names, to_hugging_face
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError
from selfsup.pretraining.text.batches import TextBatch, TextObjective, TextStates
from selfsup.pretraining.text.masked_lm import MaskedLM
from selfsup.pretraining.text.next_sentence import NextSentence

# In the order in which a model holds its heads, and in which losses are computed.
_OBJECTIVES: tuple[type[TextObjective], ...] = (MaskedLM, NextSentence)


def text_objectives(names: Sequence[str]) -> tuple[type[TextObjective], ...]:
    """The objectives with these names."""
    return tuple(objective for objective in _OBJECTIVES if objective.name in names)


class TextPretrainingModel(nn.Module):
    """An encoder with a head for each objective."""

    def __init__(self, encoder: TextEncoder, objectives: Sequence[str]) -> None:
        """``objectives`` are names, some of ``TEXT_OBJECTIVES``."""
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {objective.name: objective(encoder) for objective in text_objectives(objectives)}
        )

    def forward(self, batch: TextBatch) -> dict[str, tuple[Tensor, Tensor, int]]:
        """For each objective: mean loss in nats, right predictions, number of predictions."""
        states = self._states(batch)
        return {name: head.loss(states, batch.labels[name]) for name, head in self._heads()}

    def _heads(self) -> list[tuple[str, TextObjective]]:
        return list(self.heads.items())  # type: ignore[arg-type]

    def _states(self, batch: TextBatch) -> TextStates:
        """The last states of the tokens that the heads read, and of no others."""
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

        Two for each weight and token forward, and twice that backward. Attention is counted within
        each sequence. In the highest layer only the queried tokens have queries and what follows
        them; the heads' products are at their own predictions only.
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
        in_heads = sum(head.products(batch) for _, head in self._heads())
        return 3 * 2 * (encoder + in_heads)


def load_pretraining(
    folder: str | Path,
    objectives: Sequence[str],
    seed: int = 0,
    new_tokens: Mapping[int, Sequence[int]] | None = None,
) -> tuple[TextPretrainingModel, tuple[str, ...]]:
    """Load an encoder with the heads of some objectives, in evaluation mode; and what it lacks.

    Args:
        folder: a text model's folder; it need not hold any of the heads.
        objectives: some of ``TEXT_OBJECTIVES``.
        seed: for weights of heads and pooler that the folder lacks.
        new_tokens: ids of tokens to add to the folder's vocabulary, all above its own ids, each
            with the ids of its pieces in the old vocabulary. The embedding and the output bias of
            a new token are the means of its pieces'.

    Raises:
        UserError: the folder is damaged, or holds a model of another kind.
    """
    config, _ = read_config(folder)
    family = text_family(config)
    names = _weight_names(family)
    words, bias = _word_embeddings(names), _output_bias(names)
    weights = _drop_tied_copies(read_weights(folder), family, folder)
    sizes = config
    check_sizes(lambda: family.build(sizes, pooled=True), weights, family.encoder_names(), folder)
    if new_tokens:
        config = replace(config, vocab_size=max(config.vocab_size, max(new_tokens) + 1))
        for name in (words, bias):
            if name in weights:
                weights[name] = _add_rows(weights[name], config.vocab_size, new_tokens)
    model = TextPretrainingModel(family.build(config, pooled=True), objectives)
    missing = load_weights(model, weights, names, config.initializer_range, seed, folder)
    return model.eval(), missing


def save_pretraining(
    folder: str | Path, model: TextPretrainingModel, tokenizer_folder: str | Path, model_card: str
) -> None:
    """Write a model folder that ``transformers`` loads under the class that has these heads.

    Raises:
        UserError: there is no tokenizer, or the disk is full or cannot be written to.
    """
    objectives = text_objectives(tuple(model.heads))
    alone = len(objectives) == 1
    architecture = objectives[0].architecture if alone else TextObjective.architecture
    config = model.encoder.config
    save_model(
        folder,
        to_hugging_face(model.named_parameters(), _weight_names(text_family(config))),
        config_of(config, architecture_of(config, architecture)),
        tokenizer_folder,
        model_card,
    )


def _weight_names(family: TextFamily) -> NameTable:
    heads = {
        f"heads.{objective.name}.{module}".rstrip("."): theirs
        for objective in _OBJECTIVES
        for module, theirs in objective.weight_names(family).items()
    }
    return {**family.encoder_names("encoder."), **heads}


def _word_embeddings(names: NameTable) -> str:
    return hugging_face_names("encoder.embeddings.word.weight", names)[0]


def _output_bias(names: NameTable) -> str:
    return hugging_face_names("heads.mlm.bias", names)[0]


def _drop_tied_copies(
    weights: dict[str, Tensor], family: TextFamily, folder: str | Path
) -> dict[str, Tensor]:
    """Drop the second copies of the output matrix and bias that some checkpoints hold."""
    weights, names = dict(weights), _weight_names(family)
    decoder, output_bias = family.masked_lm.decoder, _output_bias(names)
    matrix = weights.pop(f"{decoder}.weight", None)
    embeddings = weights.get(_word_embeddings(names))
    if matrix is not None and embeddings is not None and not torch.equal(matrix, embeddings):
        raise UserError(
            f"{folder}: its output matrix is not its word embeddings ({decoder}); "
            "only models that share the two can be loaded"
        )
    bias = weights.pop(f"{decoder}.bias", None)
    if bias is not None:
        weights.setdefault(output_bias, bias)
    return weights


def _add_rows(rows: Tensor, count: int, new: Mapping[int, Sequence[int]]) -> Tensor:
    """The rows [V, …], extended to ``count``; each new row is the mean of some old ones."""
    rows = rows.float()
    longer = torch.cat([rows, rows.new_zeros(max(0, count - len(rows)), *rows.shape[1:])])
    for number, pieces in new.items():
        longer[number] = rows[list(pieces)].mean(0)
    return longer
