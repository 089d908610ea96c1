"""What the flags of pre-training on text come to: what is hidden, and the run's stages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from selfsup.pretraining.run import pretrain, resolve
from selfsup.pretraining.text import pretraining as text_pretraining
from selfsup.pretraining.text.pretraining import TextPretraining
from selfsup.pretraining.text.sequences import TextCorpus, split_held_out
from selfsup.settings.pretrain import PretrainSettings, ResolvedPretrainSettings
from selfsup.shards.tokens import open_shards
from selfsup.training.loop import Stage
from tests.toy_corpus import write_toy_corpus


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return write_toy_corpus(tmp_path_factory.mktemp("texts") / "texts.txt")


def settings(texts: Path, out: Path, **changed: Any) -> ResolvedPretrainSettings:
    values = {
        "data": (str(texts),), "out": str(out), "encoder": "bert-tiny", "steps": 1,
        "batch_size": 4, "max_length": 32, "vocab_size": 90, "held_out_fraction": 0.2,
        "device": "cpu", "precision": "float32", "threads": 1, "workers": 1,
    }  # fmt: skip
    return resolve(PretrainSettings(**(values | changed)))


def stages(texts: Path, run: Path, **changed: Any) -> list[Stage]:
    chosen = settings(texts, run, **changed)
    begun = TextPretraining(
        chosen, run, torch.device("cpu"), is_resumed=False, is_new=True, objectives_by_default=False
    )
    return list(begun.stages)


def share_hidden(stage: Stage) -> float:
    batches = [stage.batches[number] for number in range(8)]
    hidden = sum(len(batch.masked_rows) for batch in batches)  # type: ignore[attr-defined]
    return hidden / sum(batch.token_count for batch in batches)


def test_as_much_is_hidden_as_is_said(texts, tmp_path):
    (usual,), (more,) = (
        stages(texts, tmp_path / str(share), mask_probability=share) for share in (0.15, 0.6)
    )
    assert 0.1 < share_hidden(usual) < 0.2
    assert share_hidden(more) > 0.45


def test_spans_are_hidden_where_it_is_said(texts, tmp_path):
    def neighbours(masking: str) -> float:
        """The share of hidden tokens whose next one is hidden too."""
        (stage,) = stages(texts, tmp_path / masking, masking=masking)
        rows = [stage.batches[n].masked_rows for n in range(8)]  # type: ignore[attr-defined]
        steps = torch.cat([of_batch.diff() for of_batch in rows])
        return float((steps == 1).float().mean())

    assert neighbours("span") > 2 * neighbours("token")


def test_a_first_stage_of_short_sequences_has_as_many_tokens_a_step(texts, tmp_path):
    short, long = stages(texts, tmp_path, short_length=16, short_share=0.75, batch_size=3)
    assert (short.until, long.until) == (0.75, 1.0)
    first, second = short.batches[0], long.batches[0]
    assert abs(len(first.labels["nsp"]) - 6) <= 1  # type: ignore[attr-defined]
    assert abs(len(second.labels["nsp"]) - 3) <= 1  # type: ignore[attr-defined]
    assert first.packing.max_seqlen <= 16 < second.packing.max_seqlen  # type: ignore[attr-defined]


def tokens_to_train_on(corpus: TextCorpus) -> np.ndarray:
    documents, _ = split_held_out(corpus, 0.2, at_least=2)
    return corpus.tokens_at(
        corpus.document_starts()[documents], corpus.document_lengths()[documents]
    )


def test_what_is_held_out_takes_no_part_in_the_first_weights(texts, tmp_path, monkeypatch):
    counted: list[np.ndarray] = []
    real = text_pretraining.co_occurrence_vectors

    def watched(tokens: np.ndarray, *further):
        counted.append(tokens)
        return real(tokens, *further)

    monkeypatch.setattr(text_pretraining, "co_occurrence_vectors", watched)
    stages(texts, tmp_path)
    corpus = TextCorpus(open_shards(tmp_path / "shards").shards)
    np.testing.assert_array_equal(counted, [tokens_to_train_on(corpus)])


def test_a_structured_start_begins_with_word_frequencies(texts, tmp_path):
    chosen = settings(texts, tmp_path / "structured", learning_rate=1e-12)
    assert chosen.start == "structured"
    pretrain(chosen)
    pretrain(settings(texts, tmp_path / "random", learning_rate=1e-12, start="random"))
    shards = open_shards(tmp_path / "structured" / "shards")
    tokens = tokens_to_train_on(TextCorpus(shards.shards))
    counts = np.bincount(tokens, minlength=shards.vocab_size) + 1
    biases = {
        start: load_file(tmp_path / start / "model" / "model.safetensors")["cls.predictions.bias"]
        for start in ("structured", "random")
    }
    np.testing.assert_allclose(
        biases["structured"].numpy(), np.log(counts / counts.sum()), atol=1e-4
    )
    assert not biases["random"].abs().max() > 1e-6
