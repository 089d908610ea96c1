"""Where the words of running text are, as BERT's tokenizer sees it before it looks for pieces."""

from collections.abc import Sequence

from tokenizers import PreTokenizedString
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

# Case and accents are left, since they do not move a border between words.
_CLEANING = BertNormalizer(lowercase=False, strip_accents=False)
_CUTTING = BertPreTokenizer()


def words_of_text(text: str) -> Sequence[tuple[int, int]]:
    """The first character of each word and the one after its last, in order.

    Words are cut at white space; punctuation marks and CJK ideographs are words of their own.
    """
    pieces = PreTokenizedString(text)
    pieces.normalize(_CLEANING.normalize)
    _CUTTING.pre_tokenize(pieces)
    return [
        span
        for word, span, _ in pieces.get_splits(offset_referential="original", offset_type="char")
        if word
    ]
