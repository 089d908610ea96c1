"""BERT's tokenizer: train one on text, or build one from a vocabulary."""

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from selfsup.corpus.text import clean_paragraphs
from selfsup.corpus.tokenizer.fast_wordpiece import word_cutter
from selfsup.corpus.tokenizer.training import LONGEST_WORD, count_words, learn_vocabulary
from selfsup.errors import UserError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_LEAST_VOCAB_SIZE = 64  # the least that --vocab-size accepts


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

    Memory is bounded for any amount of text: beyond a million different words the rarest are
    dropped.

    Args:
        texts: documents, one paragraph per line; they are cleaned as ``prepare`` cleans them.
        vocab_size: number of tokens, including the five special ones (ids 0 to 4).
        lowercase: fold case.
        strip_accents: drop accents; this also splits Hangul syllables into letters.
        min_frequency: how often two tokens must be adjacent to be joined.
        allow_fewer: accept a smaller vocabulary if the texts allow no more.

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
        fix = "give more text"
        if allowed >= _LEAST_VOCAB_SIZE:
            fix = f"ask for --vocab-size {allowed} or less, or {fix}"
        raise UserError(
            f"--vocab-size {vocab_size}: this corpus allows at most {allowed} tokens: {fix}"
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
    """Build BERT's tokenizer from a vocabulary (token → id).

    Args:
        vocabulary: contains the five special tokens, at any ids.
        lowercase: fold case before looking tokens up.
        strip_accents: decompose and drop combining marks, which also splits Hangul syllables into
            letters; None is BERT's original rule: do so if ``lowercase``.
        split_chinese_characters: make every CJK ideograph a separate word.
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
    """The largest size, at most ``size``, for which that many tokens are learned.

    A smaller vocabulary has room for fewer characters, and words with other characters are left
    out. So asking for the number of tokens learned for a large size may give fewer.
    """
    while (learned := len(learn_vocabulary(word_counts, size, min_frequency=min_frequency))) < size:
        size = learned
    return size
