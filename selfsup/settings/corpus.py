"""Settings of the commands that turn raw text into token shards."""

from dataclasses import dataclass

from selfsup.settings import shared_flags
from selfsup.settings.fields import argument, check_values, flag


@dataclass(frozen=True, kw_only=True)
class TrainTokenizerSettings:
    """Learn a WordPiece vocabulary from raw text.

    Example:
      selfsup train-tokenizer my-texts/ --vocab-size 8192 --out my-tokenizer
    """

    corpus: tuple[str, ...] = argument(shared_flags.SOURCES, metavar="CORPUS")
    out: str = flag("folder to write the tokenizer to", group="Run", metavar="DIR")
    vocab_size: int | None = flag(
        "size of the vocabulary; by default 30,522, or less if the text has no more",
        default=None,
        group="Tokenizer",
        metavar="N",
        at_least=64,
        at_most=1_000_000,
    )
    lowercase: bool = flag(
        "make all text lower case before tokenization", default=True, group="Tokenizer"
    )
    strip_accents: bool = flag(
        "remove accents from letters; this also splits Hangul syllables into letters",
        default=False,
        group="Tokenizer",
    )
    text_field: str = shared_flags.text_field()
    text_documents: str = shared_flags.text_documents()
    max_bad_fraction: float = shared_flags.max_bad_fraction()

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """Turn raw text into token shards, ready for pre-training.

    After an interruption, the same command continues where it stopped.

    Example:
      selfsup prepare my-texts/ --tokenizer my-tokenizer --out my-shards
    """

    corpus: tuple[str, ...] = argument(shared_flags.SOURCES, metavar="CORPUS")
    tokenizer: str = flag("folder of the tokenizer", group="Data", metavar="DIR")
    out: str = flag("folder to write the shards to", group="Run", metavar="DIR")
    text_field: str = shared_flags.text_field()
    text_documents: str = shared_flags.text_documents()
    language: str = shared_flags.language()
    max_bad_fraction: float = shared_flags.max_bad_fraction()
    shard_tokens: int = flag(
        "size of a shard: it ends with the first document that reaches this number of tokens",
        default=1 << 26,
        group="Data",
        metavar="N",
        at_least=1,
    )
    workers: int | None = shared_flags.workers()

    def __post_init__(self) -> None:
        check_values(self)
        shared_flags.check_language(self.language)
