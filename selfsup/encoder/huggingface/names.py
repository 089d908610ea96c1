"""What our parameters are called in a Hugging Face model folder, and the way there and back.

A table maps each of our modules to Hugging Face's, ``*`` standing for the number of a layer. A
module of ours that stands for several of theirs holds their weights one after the other on the
first (output) dimension.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

NameTable = Mapping[str, tuple[str, ...]]

_ENCODER_NAMES: NameTable = {
    "embeddings.word": ("embeddings.word_embeddings",),
    "embeddings.position": ("embeddings.position_embeddings",),
    "embeddings.token_type": ("embeddings.token_type_embeddings",),
    "embeddings.norm": ("embeddings.LayerNorm",),
    "layers.*.attention.query_key_value": (
        "encoder.layer.*.attention.self.query",
        "encoder.layer.*.attention.self.key",
        "encoder.layer.*.attention.self.value",
    ),
    "layers.*.attention.output": ("encoder.layer.*.attention.output.dense",),
    "layers.*.attention_norm": ("encoder.layer.*.attention.output.LayerNorm",),
    "layers.*.intermediate": ("encoder.layer.*.intermediate.dense",),
    "layers.*.output": ("encoder.layer.*.output.dense",),
    "layers.*.output_norm": ("encoder.layer.*.output.LayerNorm",),
    "pooler": ("pooler.dense",),
}

_ENCODER_PARTS = ("embeddings.", "encoder.", "pooler.")
_OLD_ENDINGS = {"gamma": "weight", "beta": "bias"}


def encoder_names(prefix: str = "") -> NameTable:
    """The table of an encoder whose own parameters are called ``prefix + …`` in a larger model."""
    return {
        prefix + ours: tuple("bert." + name for name in theirs)
        for ours, theirs in _ENCODER_NAMES.items()
    }


def hugging_face_names(parameter: str, table: NameTable) -> list[str]:
    """What Hugging Face calls the parts of one of our parameters.

    Raises:
        KeyError: the parameter's module is not in the table.
    """
    module, _, kind = parameter.rpartition(".")
    layer = re.search(r"\.(\d+)\.", module)
    if layer is None:
        return [f"{name}.{kind}" for name in table[module]]
    pattern = module.replace(layer[0], ".*.", 1)
    return [f"{name.replace('*', layer[1], 1)}.{kind}" for name in table[pattern]]


def to_hugging_face(
    parameters: Iterable[tuple[str, Tensor]], table: NameTable
) -> dict[str, Tensor]:
    """Rename our parameters, and take apart those that stand for several (as views)."""
    weights: dict[str, Tensor] = {}
    for ours, tensor in parameters:
        theirs = hugging_face_names(ours, table)
        weights.update(zip(theirs, tensor.chunk(len(theirs)), strict=True))
    return weights


def from_hugging_face(
    weights: Mapping[str, Tensor], parameters: Iterable[str], table: NameTable
) -> dict[str, Tensor]:
    """Find our parameters among Hugging Face's; those that lack a part are left out."""
    found: dict[str, Tensor] = {}
    for ours in parameters:
        theirs = hugging_face_names(ours, table)
        if all(name in weights for name in theirs):
            parts = [weights[name] for name in theirs]
            found[ours] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return found


def with_present_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put names of older and of bare checkpoints into today's form.

    Norms were ``gamma`` and ``beta`` when BERT was first converted. A checkpoint of a bare
    ``BertModel``, such as those of sentence-transformers, lacks the prefix ``bert.``. Position
    numbers were once saved as if they were weights; they are dropped.
    """
    present: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        module, _, kind = name.rpartition(".")
        if kind == "position_ids":
            continue
        name = f"{module}.{_OLD_ENDINGS.get(kind, kind)}" if module else name
        present["bert." + name if name.startswith(_ENCODER_PARTS) else name] = tensor
    return present


# What an image encoder's parameters are called in a Hugging Face model folder.


_VIT_NAMES: NameTable = {
    "embeddings": ("embeddings",),  # its own parameters: cls_token, position_embeddings
    "embeddings.projection": ("embeddings.patch_embeddings.projection",),
    "layers.*.attention_norm": ("encoder.layer.*.layernorm_before",),
    "layers.*.attention.query_key_value": (
        "encoder.layer.*.attention.attention.query",
        "encoder.layer.*.attention.attention.key",
        "encoder.layer.*.attention.attention.value",
    ),
    "layers.*.attention.output": ("encoder.layer.*.attention.output.dense",),
    "layers.*.feed_forward_norm": ("encoder.layer.*.layernorm_after",),
    "layers.*.intermediate": ("encoder.layer.*.intermediate.dense",),
    "layers.*.output": ("encoder.layer.*.output.dense",),
    "norm": ("layernorm",),
}

_VIT_PARTS = ("embeddings.", "encoder.", "layernorm.", "pooler.")
# A layer's modules as ``transformers`` 5 calls them in memory. Files keep the names of before.
_IN_MEMORY = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_LAYER_IN_MEMORY = re.compile(r"(?:vit\.)?layers\.(\d+)\.(.+)\.(weight|bias)")


def vit_names(prefix: str = "") -> NameTable:
    """The table of a ViT whose own parameters are called ``prefix + …`` in a larger model."""
    return {
        prefix + ours: tuple("vit." + name for name in theirs)
        for ours, theirs in _VIT_NAMES.items()
    }


def with_present_vit_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put names of bare checkpoints, and those in memory, into the form that files have.

    A checkpoint of a bare ``ViTModel`` lacks the prefix ``vit.``.
    """
    present: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if layer := _LAYER_IN_MEMORY.fullmatch(name):
            number, module, kind = layer.groups()
            name = f"vit.encoder.layer.{number}.{_IN_MEMORY.get(module, module)}.{kind}"
        present["vit." + name if name.startswith(_VIT_PARTS) else name] = tensor
    return present
