"""Only the word embeddings that training texts hold are learned; nothing else changes."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.encoder.huggingface.folder import read_weights
from selfsup.finetuning import compact_embedding, seeds
from selfsup.finetuning.run import finetune
from tests.toy_tasks import BAD, GOOD, toy_settings, write_toy_file, write_toy_model

WORDS = "bert.embeddings.word_embeddings.weight"
settings = partial(toy_settings, epochs=3, seeds=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Training texts that hold two words of the vocabulary, and validation texts that hold more."""
    folder = tmp_path_factory.mktemp("files")
    write_toy_file(folder / "dev.tsv", 30, seed=2)
    write_toy_model(folder / "encoder", "mlm")
    lines = ["label\tsentence", *[f"up\t{GOOD[0]}", f"down\t{BAD[0]}"] * 20]
    (folder / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def words(folder: Path) -> torch.Tensor:
    return read_weights(folder)[WORDS]


@pytest.mark.parametrize("at_once", [1, 7, 1024])
def test_all_units_are_looked_at_however_many_at_once(at_once, monkeypatch):
    rows = [[5, 3], [3, 9], [8], [5, 1]] * 5

    class Texts:
        def __len__(self) -> int:
            return len(rows)

        def batch(self, numbers: np.ndarray) -> SimpleNamespace:
            ids = [token for number in numbers for token in rows[number]]
            return SimpleNamespace(input_ids=torch.tensor(ids))

    monkeypatch.setattr(compact_embedding, "_UNITS_AT_ONCE", at_once)
    rows[-1] = [700]
    assert compact_embedding.token_ids_of(cast(Any, Texts())).tolist() == [1, 3, 5, 8, 9, 700]


def test_words_that_training_lacks_stay_as_they_were_pre_trained(files, tmp_path):
    finetune(settings(files, tmp_path, weight_decay=0.1))
    train = f"{GOOD[0]} {BAD[0]}"
    used = set(load_tokenizer(files / "encoder").encode(train).ids)  # [CLS] and [SEP] too
    before, after = words(files / "encoder"), words(tmp_path / "model")
    changed = {row for row in range(len(before)) if not torch.equal(before[row], after[row])}
    assert changed == used
    assert len(used) < len(before) / 2


def test_the_model_is_the_one_that_learns_with_the_whole_vocabulary(files, tmp_path, monkeypatch):
    few = finetune(settings(files, tmp_path / "few", weight_decay=0.0))
    monkeypatch.setattr(seeds, "compact_word_embeddings", lambda *arguments: nullcontext())
    all_ = finetune(settings(files, tmp_path / "all", weight_decay=0.0))
    one, other = read_weights(tmp_path / "few" / "model"), read_weights(tmp_path / "all" / "model")
    for name in other:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5, msg=name)
    assert few["metrics"] == all_["metrics"]
