"""How well a model does on documents that it is never trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from selfsup.pretraining.text.batch import TextBatch
from selfsup.pretraining.text.masked_lm import Masking
from selfsup.pretraining.text.model import TextPreTraining, build_batch, plan_sequences
from selfsup.pretraining.text.sequences import TextCorpus

_SEED, _BATCH_TOKENS = 0x4556414C, 8192


@dataclass(frozen=True)
class HeldOutResult:
    """Held-out measurements.

    Attributes:
        mlm_loss: mean over masked tokens, in nats; None if not trained for.
        mlm_accuracy: share of masked tokens whose best score is the right one.
        nsp_accuracy: share of pairs told right.
    """

    mlm_loss: float | None
    mlm_accuracy: float | None
    nsp_accuracy: float | None


class HeldOut:
    """Fixed sequences of the held-out documents, with fixed tokens hidden.

    However a model was trained, it is measured alike: 15 % of the tokens chosen one by one, of
    these 80 % masked, 10 % replaced, 10 % kept, in float32.
    """

    def __init__(
        self,
        corpus: TextCorpus,
        documents: np.ndarray,
        masking: Masking,
        objectives: Sequence[str],
        max_length: int,
    ) -> None:
        self._masking = replace(masking, probability=0.15, unit="token")
        self._plan = plan_sequences(
            corpus, documents, self._masking, objectives, max_length, _SEED, 0
        )
        self._order = np.random.default_rng(_SEED).permutation(len(self._plan))
        self._batch_size = max(1, _BATCH_TOKENS // max_length)

    def measure(
        self, model: TextPreTraining, device: torch.device, max_tokens: int | None = None
    ) -> HeldOutResult:
        """Measure on all sequences, or on the first that hold about ``max_tokens`` tokens."""
        was_training = model.training
        model.eval()
        losses, right, counts = {}, {}, {}
        seen = 0
        with torch.inference_mode():
            for begin in range(0, len(self._order), self._batch_size):
                if max_tokens is not None and seen >= max_tokens:
                    break
                batch = self._batch(begin).to(device)
                seen += batch.token_count
                for name, (loss, hits, count) in model(batch).items():
                    losses[name] = losses.get(name, 0.0) + float(loss) * count
                    right[name] = right.get(name, 0) + int(hits)
                    counts[name] = counts.get(name, 0) + count
        model.train(was_training)

        def share(sums: dict, name: str) -> float | None:
            return sums[name] / counts[name] if counts.get(name) else None

        return HeldOutResult(share(losses, "mlm"), share(right, "mlm"), share(right, "nsp"))

    def _batch(self, begin: int) -> TextBatch:
        examples = self._order[begin : begin + self._batch_size]
        return build_batch(self._plan, examples, self._masking, _SEED, 0)


def unigram_loss(
    corpus: TextCorpus, train: np.ndarray, held_out: np.ndarray, masking: Masking
) -> float:
    """Loss in nats a held-out token of guessing by the training documents' frequencies alone.

    Special tokens are left out, ``[UNK]`` too: they are never masked.
    """
    is_text = np.isin(np.arange(masking.vocab_size), masking.special.ids(), invert=True)
    train_counts = token_counts(corpus, train, masking.vocab_size)[is_text] + 1
    counts = token_counts(corpus, held_out, masking.vocab_size)[is_text]
    log_frequencies = np.log(train_counts / train_counts.sum())
    return float(-(counts * log_frequencies).sum() / max(1, counts.sum()))


def token_counts(corpus: TextCorpus, documents: np.ndarray, vocab_size: int) -> np.ndarray:
    """How often each token occurs in some documents, int64 [V]."""
    counts = np.zeros(vocab_size, np.int64)
    starts, lengths = corpus.document_starts(), corpus.document_lengths()
    for part in np.array_split(documents, max(1, len(documents) // 4096)):
        tokens = corpus.tokens_at(starts[part], lengths[part])
        counts += np.bincount(tokens, minlength=vocab_size)
    return counts
