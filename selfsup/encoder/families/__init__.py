"""The families of text encoders: one file describes one architecture and its variants."""

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families.bert import BERT
from selfsup.encoder.families.distilbert import DISTILBERT
from selfsup.encoder.families.electra import ELECTRA
from selfsup.encoder.families.modernbert import MODERNBERT
from selfsup.encoder.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from selfsup.encoder.family import TextFamily

# By the model_type in Hugging Face's config.json.
TEXT_FAMILIES: dict[str, TextFamily] = {
    family.model_type: family
    for family in (BERT, ROBERTA, XLM_ROBERTA, CAMEMBERT, ELECTRA, DISTILBERT, MODERNBERT)
}


def text_family(config: EncoderConfig) -> TextFamily:
    """The family of an encoder with these sizes."""
    return TEXT_FAMILIES[config.model_type]
