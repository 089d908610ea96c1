"""BERT's tokenizer: trained on text, or put together around a vocabulary."""

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from selfsup.corpus.cleaning import clean_paragraphs
from selfsup.corpus.tokenizer.fast_wordpiece import word_cutter
from selfsup.corpus.tokenizer.training import LONGEST_WORD, count_words, learn_vocabulary
from selfsup.errors import UserError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_LEAST_VOCAB_SIZE = 64  # that --vocab-size takes


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 30522,
    lowercase: bool = True,
    strip_accents: bool = False,
    min_frequency: int = 2,
    allow_fewer: bool = False,
) -> Tokenizer:
    """Train a WordPiece tokenizer; the same texts always give the same tokens with the same ids.

    The memory is bounded however much text there is: beyond a million different words the rarest
    are forgotten.

    Args:
        texts: documents, one paragraph a line; cleaned here as ``prepare`` cleans them.
        vocab_size: how many tokens, the five special ones (ids 0 to 4) included.
        lowercase: fold case.
        strip_accents: drop accents; this also takes Hangul syllables apart.
        min_frequency: how often two tokens must stand together to be joined into one.
        allow_fewer: accept a smaller vocabulary where the texts allow no more.

    Raises:
        UserError: the texts are empty, or allow fewer tokens than ``vocab_size``.
    """
    if vocab_size <= len(SPECIAL_TOKENS):
        raise UserError(f"--vocab-size {vocab_size}: must be above {len(SPECIAL_TOKENS)}")
    empty = wordpiece_tokenizer({}, lowercase=lowercase, strip_accents=strip_accents)
    paragraphs = (paragraph for text in texts for paragraph in clean_paragraphs(text))
    word_counts = count_words(paragraphs, word_cutter(empty))
    if not word_counts:
        raise UserError("the corpus holds no text to learn words from: name another corpus")
    learned = learn_vocabulary(
        word_counts, vocab_size - len(SPECIAL_TOKENS), min_frequency=min_frequency
    )
    tokens = [*SPECIAL_TOKENS, *learned]
    if len(tokens) < vocab_size and not allow_fewer:
        allowed = len(SPECIAL_TOKENS) + _learnable(word_counts, len(learned), min_frequency)
        mend = "give more text"
        if allowed >= _LEAST_VOCAB_SIZE:
            mend = f"ask for --vocab-size {allowed} or less, or {mend}"
        raise UserError(
            f"--vocab-size {vocab_size}: this corpus allows at most {allowed} tokens: {mend}"
        )
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return wordpiece_tokenizer(vocabulary, lowercase=lowercase, strip_accents=strip_accents)


def wordpiece_tokenizer(
    vocabulary: dict[str, int],
    *,
    lowercase: bool,
    strip_accents: bool | None,
    split_chinese_characters: bool = True,
) -> Tokenizer:
    """Assemble BERT's tokenizer around a vocabulary (token → id).

    Args:
        vocabulary: holds the five special tokens, at whatever ids.
        lowercase: fold case before the vocabulary is searched.
        strip_accents: decompose and drop combining marks, which also takes Hangul apart; None is
            BERT's original rule, to do so whenever it lowercases.
        split_chinese_characters: make every CJK ideograph a word of its own.
    """
    model = WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(
        clean_text=True,
        handle_chinese_chars=split_chinese_characters,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    if vocabulary:
        tokenizer.add_special_tokens(
            [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
        )
        tokenizer.post_processor = BertProcessing(
            ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
        )
    return tokenizer


def _learnable(word_counts: dict[str, int], size: int, min_frequency: int) -> int:
    """The largest number of tokens, at most ``size``, that can be had by asking for it.

    A smaller vocabulary has room for fewer characters, hence for fewer words, so what is learned
    for a large size may be more than what is learned for just that many.
    """
    while (learned := len(learn_vocabulary(word_counts, size, min_frequency=min_frequency))) < size:
        size = learned
    return size
