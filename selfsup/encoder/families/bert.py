"""BERT (Devlin et al. 2018): post-norm layers, and a pooler that a classifier reads."""

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.family import Head, MaskedLMHead, TextFamily
from selfsup.encoder.huggingface.names import NameTable

# Also of the models that were made from BERT's code.
BERT_NAMES: NameTable = {
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
BERT = TextFamily(
    name="BERT",
    classes="Bert",
    config=EncoderConfig,
    build=BertEncoder,
    prefix="bert.",
    names=BERT_NAMES,
    classification=Head("classifier"),
    tokens=Head("classifier"),
    spans=Head("qa_outputs"),
    masked_lm=MaskedLMHead(
        {
            "dense": ("cls.predictions.transform.dense",),
            "norm": ("cls.predictions.transform.LayerNorm",),
            "": ("cls.predictions",),
        },
        decoder="cls.predictions.decoder",
    ),
    supported={
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    },
    written={"position_embedding_type": "absolute", "tie_word_embeddings": True, "use_cache": True},
    pooler=True,
    needs_segments=True,
)
