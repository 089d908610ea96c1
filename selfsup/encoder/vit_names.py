"""What an image encoder's parameters are called in a Hugging Face model folder."""

import re
from collections.abc import Mapping

from torch import Tensor

from selfsup.encoder.hugging_face_names import NameTable

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
