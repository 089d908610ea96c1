"""What pre-training must know of a tokenizer's tokens."""

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.added_tokens import vocabulary_size
from selfsup.errors import UserError
from selfsup.objectives.sequences import SpecialTokens


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """The ids of BERT's five special tokens.

    Raises:
        UserError: the tokenizer lacks one.
    """
    ids = []
    for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"):
        number = tokenizer.token_to_id(token)
        if number is None:
            raise UserError(f"the tokenizer has no {token}: train another with train-tokenizer")
        ids.append(number)
    return SpecialTokens(*ids)


def continuation_pieces(tokenizer: Tokenizer) -> np.ndarray:
    """Which tokens continue a word, bool [V]."""
    tokens = (tokenizer.id_to_token(i) or "" for i in range(vocabulary_size(tokenizer)))
    return np.array([token.startswith("##") for token in tokens])
