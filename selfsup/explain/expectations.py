"""What pre-training reached in a given time. Every figure is from docs/results.md."""

from typing import NamedTuple


class Measured(NamedTuple):
    """One pre-training of bert-mini, measured on held-out text.

    Attributes:
        minutes: as it is written.
        text: the language of the sample of Wikipedia.
        tokens: how many were read.
        loss: nats a masked token.
        by_frequency: the loss of guessing by frequency, where the table names it.
        masked: per cent of masked tokens right.
        following: per cent of next sentences right.
        how: the key, in the words of the page, of what was special.
    """

    minutes: str
    text: str
    tokens: str
    loss: str
    by_frequency: str
    masked: str
    following: str
    how: str


TEXT = (
    Measured("1:40", "en", "0.46 M", "5.96", "7.01", "13.9", "76.8", "how_early"),
    Measured("5", "en", "1.64 M", "5.03", "7.01", "21.0", "82.5", "how_one_core"),
    Measured("10", "en", "5.88 M", "4.53", "7.19", "29.4", "88.9", "how_quiet"),
    Measured("30", "en", "16.2 M", "4.04", "7.19", "34.7", "90.7", "how_quiet"),
    Measured("10", "ko", "6.39 M", "4.64", "8.20", "26.6", "90.7", "how_quiet"),
    Measured("35", "ko", "10.9 M", "4.26", "8.20", "31.7", "92.3", "how_one_core_16k"),
)
# Fine-tuned after ten minutes, and from random weights.
TRANSFER = {
    "snli": "61.5", "snli_random": "54.2", "korsts": "61.3", "korsts_random": "16.6",
    "sst": "79.5", "sst_random": "78.8",
}  # fmt: skip
IMAGES = {"error": "62.8", "tiles": "28.7", "chance": "2.8"}
