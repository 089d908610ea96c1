"""The names of our parameters in Hugging Face model folders, and conversion in both directions.

A table maps each of our modules to Hugging Face's modules; ``*`` is the number of a layer. If one
module corresponds to several of theirs, it holds their weights concatenated along the first
(output) dimension.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

NameTable = Mapping[str, tuple[str, ...]]

_OLD_ENDINGS = {"gamma": "weight", "beta": "bias"}

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
# ``transformers`` 5 names a layer's modules like this in memory; files keep the older names.
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
    """The table of a ViT encoder whose parameters are named ``prefix + …`` in a larger model."""
    return with_prefixes(_VIT_NAMES, prefix, "vit.")


def with_prefixes(table: NameTable, prefix: str, their_prefix: str) -> NameTable:
    """The table with ``prefix`` before our names, and ``their_prefix`` before the others."""
    return {
        prefix + ours: tuple(their_prefix + name for name in theirs)
        for ours, theirs in table.items()
    }


def hugging_face_names(parameter: str, table: NameTable) -> list[str]:
    """Hugging Face's names for the parts of one of our parameters.

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
    """Rename our parameters, and split those that correspond to several (as views)."""
    weights: dict[str, Tensor] = {}
    for ours, tensor in parameters:
        theirs = hugging_face_names(ours, table)
        weights.update(zip(theirs, tensor.chunk(len(theirs)), strict=True))
    return weights


def from_hugging_face(
    weights: Mapping[str, Tensor], parameters: Iterable[str], table: NameTable
) -> dict[str, Tensor]:
    """Our parameters from Hugging Face's; those with a missing part are left out."""
    found: dict[str, Tensor] = {}
    for ours in parameters:
        theirs = hugging_face_names(ours, table)
        if all(name in weights for name in theirs):
            parts = [weights[name] for name in theirs]
            found[ours] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return found


def with_present_names(
    weights: Mapping[str, Tensor], prefix: str, parts: tuple[str, ...]
) -> dict[str, Tensor]:
    """Convert the names in older and in bare checkpoints of text encoders to the current form.

    The first converted checkpoints name the weights of norms ``gamma`` and ``beta``. A checkpoint
    of a bare encoder, such as those of sentence-transformers, lacks the ``prefix``, ``bert.`` for
    example: its names begin with one of ``parts``. Old checkpoints also hold position ids as if
    they were weights; they are dropped.
    """
    present: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        module, _, kind = name.rpartition(".")
        if kind == "position_ids":
            continue
        name = f"{module}.{_OLD_ENDINGS.get(kind, kind)}" if module else name
        present[prefix + name if name.startswith(parts) else name] = tensor
    return present


def with_present_vit_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the names in bare ViT checkpoints, and names in memory, to those of full checkpoints.

    A checkpoint of a bare ``ViTModel`` lacks the prefix ``vit.``.
    """
    present: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if layer := _LAYER_IN_MEMORY.fullmatch(name):
            number, module, kind = layer.groups()
            name = f"vit.encoder.layer.{number}.{_IN_MEMORY.get(module, module)}.{kind}"
        present["vit." + name if name.startswith(_VIT_PARTS) else name] = tensor
    return present
