"""What describes a family of text encoders: its sizes, its blocks, its names, its heads.

``selfsup/encoder/families/`` holds one file for each family.

Shapes: N rows, D width.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import nn

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.huggingface.names import NameTable, with_prefixes
from selfsup.encoder.text import TextEncoder


def no_layers(config: EncoderConfig, dropout: float) -> nn.Sequential:
    """No layer between the encoder and a head's last layer."""
    return nn.Sequential()


def dense_before_scores(
    activation: type[nn.Module],
) -> Callable[[EncoderConfig, float], nn.Sequential]:
    """Dropout, a dense layer and an activation before a head's last layer."""

    def layers(config: EncoderConfig, dropout: float) -> nn.Sequential:
        dense = nn.Linear(config.hidden_size, config.hidden_size)
        return nn.Sequential(
            OrderedDict(dropout=nn.Dropout(dropout), dense=dense, activation=activation())
        )

    return layers


@dataclass(frozen=True)
class Head:
    """The head of a task's model: layers, dropout, and a last linear layer that gives the scores.

    Attributes:
        last: Hugging Face's name of the last layer.
        layers: sizes and a dropout probability → the layers before the last dropout, [N, D] →
            [N, D].
        names: their modules, and what a Hugging Face folder calls them.
    """

    last: str
    layers: Callable[[Any, float], nn.Sequential] = no_layers
    names: NameTable = field(default_factory=dict)

    def parameter_names(self, last: str) -> NameTable:
        """The names in a model that calls the last layer ``last`` and the others ``transform``."""
        table = {f"transform.{ours}": theirs for ours, theirs in self.names.items()}
        return {**table, last: (self.last,)}


@dataclass(frozen=True)
class MaskedLMHead:
    """The head that predicts masked tokens: dense, activation, norm, the word embeddings, a bias.

    Attributes:
        names: its modules, and what a Hugging Face folder calls them; the empty name is the head
            itself, whose bias it is.
        decoder: what a Hugging Face folder calls the last layer, which some hold a second time.
        activation: sizes → the name of the activation.
        has_biases: whether the dense layer and the norm have biases.
    """

    names: NameTable
    decoder: str
    activation: Callable[[Any], str] = lambda config: config.hidden_act
    has_biases: bool = True


@dataclass(frozen=True)
class TextFamily:
    """The text encoders of one architecture.

    Attributes:
        name: what messages call it.
        classes: how the names of its classes in ``transformers`` begin.
        config: the dataclass of its sizes, which also names its ``model_type``.
        build: sizes and ``pooled``, whether a pooler is wanted → an encoder, whose weights the
            caller sets. Families without a pooler build none.
        prefix: how Hugging Face's names of an encoder's weights begin.
        names: our modules and Hugging Face's, without the prefix.
        classification, tokens, spans: the heads for classification, for tagging, and for questions.
        masked_lm: the head for masked tokens.
        supported: entries of ``config.json`` that must have these values if they are there:
            nothing else can be computed.
        written: entries of ``config.json`` that are written besides the sizes.
        config_names: sizes that have another name in ``config.json``, and that name; None for those
            that are the same for all its encoders and not in the file.
        pooler: whether there is a pooler, which a classifier and next-sentence prediction read.
        needs_segments: whether the second of two texts must have a segment of its own.
    """

    name: str
    classes: str
    config: type[EncoderConfig]
    build: Callable[..., TextEncoder]
    prefix: str
    names: NameTable
    classification: Head
    tokens: Head
    spans: Head
    masked_lm: MaskedLMHead
    supported: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    config_names: Mapping[str, str | None] = field(default_factory=dict)
    pooler: bool = False
    needs_segments: bool = False

    def lacks_masked_lm(self, missing: Iterable[str]) -> str | None:
        """The first of the missing weights, under Hugging Face's names, that is the head's."""
        table = self.masked_lm.names
        parts = tuple(f"{name}." for names in table.values() for name in names)
        return next((name for name in missing if name.startswith(parts)), None)

    @property
    def model_type(self) -> str:
        """Its name in Hugging Face's ``config.json``."""
        return self.config.model_type

    @property
    def parts(self) -> tuple[str, ...]:
        """How the names in the checkpoint of a bare encoder begin, such as ``embeddings.``."""
        return tuple({f"{name.split('.')[0]}." for names in self.names.values() for name in names})

    @property
    def indispensable(self) -> tuple[str, ...]:
        """How the names of the weights begin that a model folder must have: all but a pooler."""
        return tuple(sorted(self.prefix + part for part in self.parts if part != "pooler."))

    def names_in_config(self) -> dict[str, str]:
        """The sizes that ``config.json`` holds, and what it calls them."""
        names = {
            each.name: self.config_names.get(each.name, each.name) for each in fields(self.config)
        }
        return {ours: theirs for ours, theirs in names.items() if theirs is not None}

    def encoder_names(self, prefix: str = "") -> NameTable:
        """The table of an encoder whose parameters are named ``prefix + …`` in a larger model."""
        return with_prefixes(self.names, prefix, self.prefix)
