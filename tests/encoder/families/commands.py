"""One call that runs the commands with a tiny model of a family, and then asks `transformers`.

Every task learns from the toy examples; the saved folder must give the same in `transformers`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families import text_family
from selfsup.encoder.layers import initialize
from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.inference.fill_mask import fill_mask
from selfsup.inference.predictor import Predictor
from selfsup.pretraining.run import pretrain
from selfsup.pretraining.text.model import TextPretrainingModel, save_pretraining
from selfsup.settings.inference import EvaluateSettings
from selfsup.settings.pretrain import PretrainSettings
from selfsup.tasks.registry import load_task_model
from tests.toy_tasks import (
    ON_CPU,
    toy_settings,
    write_toy_conll,
    write_toy_file,
    write_toy_questions,
)

TEXTS = ["The film was very witty, a great plot", "a dull plot", "grim"]
PAIRS = ["a film is a plot", "warm", "the plot is lame, very lame"]


def write_model(
    folder: Path, kind: type[EncoderConfig], tokenizer: Path, vocab_size: int, **more: Any
) -> Path:
    """A model folder with random weights and a masked-LM head."""
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 80,
    }
    config = kind(**sizes | more)
    model = TextPretrainingModel(text_family(config).build(config, pooled=True), ["mlm"])
    initialize(model, 0.15, seed=4)
    save_pretraining(folder, model.eval(), tokenizer, "# Toy\n")
    return folder


def check_commands(model: Path, folder: Path) -> None:
    """Fine-tune the model on each task; evaluate, predict, fill masks."""
    _check_classification(model, folder / "texts")
    _check_pairs(model, folder / "pairs")
    _check_tags(model, folder / "tags")
    _check_answers(model, folder / "answers")
    _check_masks(model)


def _finetune(model: Path, folder: Path, task: str, ending: str) -> Path:
    out = folder / "run"
    settings = toy_settings(
        folder, out, task=task, encoder=str(model), train=str(folder / f"train.{ending}"),
        validation=str(folder / f"dev.{ending}"), epochs=2, max_length=64,
    )  # fmt: skip
    summary = finetune(settings)
    dev = str(folder / f"dev.{ending}")
    measured = evaluate(EvaluateSettings(model=str(out), data=dev, **ON_CPU))["metrics"]
    for name, value in summary["metrics"].items():
        assert measured[name] == pytest.approx(value["mean"], abs=1e-5), name
    return out


def _their_logits(out: Path, *texts: list[str]) -> np.ndarray:
    tokenizer = transformers.AutoTokenizer.from_pretrained(out / "model")
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(out / "model").eval()
    with torch.no_grad():
        rows = [
            peer(**tokenizer(*row, return_tensors="pt")).logits[0]
            for row in zip(*texts, strict=True)
        ]
    return torch.stack(rows).softmax(-1).numpy()


def _same_probabilities(out: Path, *texts: Any) -> None:
    answers = Predictor.load(out, "cpu", "float32").predict(*texts)
    ours = np.array([[*answer["probabilities"].values()] for answer in answers])
    np.testing.assert_allclose(ours, _their_logits(out, *texts), atol=1e-5)


def _check_classification(model: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    write_toy_file(folder / "train.tsv", 64, 1)
    write_toy_file(folder / "dev.tsv", 16, 2)
    _same_probabilities(_finetune(model, folder, "sequence-classification", "tsv"), TEXTS)


def _check_pairs(model: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, seed in (("train", 1), ("dev", 2)):
        random = np.random.default_rng(seed)
        lines = ["sentence1\tsentence2\tlabel"]
        for number in range(32):
            first, second = random.choice(["a warm film", "dull", "the plot , a film"], 2)
            lines.append(f"{first}\t{second} {number % 3 * 'great '}\t{('no', 'yes')[number % 2]}")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    _same_probabilities(_finetune(model, folder, "pair-classification", "tsv"), TEXTS, PAIRS)


def _check_tags(model: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    write_toy_conll(folder / "train.conll", 48, 1)
    write_toy_conll(folder / "dev.conll", 16, 2)
    out = _finetune(model, folder, "token-classification", "conll")
    loaded = load_task_model(out)
    words = ["the", "warm", "witty", "film", ",", "dull"]
    examples = loaded.task.examples_of([" ".join(words)], None)
    windows = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation).windows
    batch = windows.batch(np.arange(1))
    tokenizer = tokenizer_for_words(out / "model")
    encoding = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    assert batch.input_ids.tolist() == encoding["input_ids"][0].tolist()
    begins = [encoding.word_ids(0).index(number) for number in range(len(words))]
    assert batch.word_rows.tolist() == begins
    peer = transformers.AutoModelForTokenClassification.from_pretrained(out / "model").eval()
    with torch.no_grad():
        theirs = peer(**encoding).logits[0, begins]
        torch.testing.assert_close(loaded.model.scores(batch), theirs, atol=1e-5, rtol=1e-5)


def tokenizer_for_words(folder: Path) -> Any:
    """The tokenizer of `transformers` for words that are already split.

    Of a byte-level BPE each word has a space before it, as `add_prefix_space` says; not all of its
    classes heed that.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if isinstance(tokenizer.backend_tokenizer.model, BPE):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
        tokenizer.backend_tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    return tokenizer


def _check_answers(model: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    write_toy_questions(folder / "train.json", 48, 1, unanswerable=True)
    write_toy_questions(folder / "dev.json", 16, 2, unanswerable=True)
    out = _finetune(model, folder, "question-answering", "json")
    loaded = load_task_model(out)
    question, context = "the film is", "a plot , the film was Witty and very warm"
    examples = loaded.task.examples_of([question], [context])
    windows = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation).windows
    batch = windows.batch(np.arange(1))
    tokenizer = transformers.AutoTokenizer.from_pretrained(out / "model")
    encoding = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoding.pop("offset_mapping")[0].numpy()
    assert batch.input_ids.tolist() == encoding["input_ids"][0].tolist()
    of_context = np.array(encoding.sequence_ids(0), dtype=object) == 1
    assert windows.context_positions[0] == np.flatnonzero(of_context)[0]
    assert windows.contexts.offsets.tolist() == offsets[of_context].tolist()
    peer = transformers.AutoModelForQuestionAnswering.from_pretrained(out / "model").eval()
    with torch.no_grad():
        theirs = peer(**encoding)
        logits = torch.stack([theirs.start_logits[0], theirs.end_logits[0]], -1)
        torch.testing.assert_close(loaded.model.scores(batch), logits, atol=1e-5, rtol=1e-5)
    (answer,) = Predictor.load(out, "cpu", "float32").predict([question], [context])
    assert answer["answer"] == answer["answer"].strip()
    assert answer["answer"] in context


def _check_masks(model: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    mask = Tokenizer.from_file(str(model / "tokenizer.json"))
    token = next(name for name in ("[MASK]", "<mask>") if mask.token_to_id(name) is not None)
    text = f"the film is {token} , a plot"
    (ours,) = fill_mask(model, text, 4)
    theirs: Any = transformers.pipeline(
        "fill-mask", model=str(model), tokenizer=tokenizer, top_k=4
    )(text)
    assert [c["probability"] for c in ours["candidates"]] == pytest.approx(
        [c["score"] for c in theirs], abs=1e-6
    )
    assert [c["token"].strip() for c in ours["candidates"]] == [
        c["token_str"].strip() for c in theirs
    ]
    words = [c["sequence"].replace(" ", "") for c in ours["candidates"]]
    assert words == [
        text.replace(token, c["token"].removeprefix("##")).replace(" ", "")
        for c in ours["candidates"]
    ]


def check_pretraining(model: Path, folder: Path) -> None:
    """Go on with pre-training on a few lines of text, masked tokens only."""
    words = ["the film is great", "a plot was dull , very dull", "warm film , witty plot"]
    (folder / "text.txt").write_text("\n\n".join(words * 20) + "\n")
    settings = PretrainSettings(
        data=(str(folder / "text.txt"),), init=str(model), objectives=("mlm",), steps=3,
        batch_size=4, max_length=16, out=str(folder / "run"), **ON_CPU,
    )  # fmt: skip
    pretrain(settings)
    _check_masks(folder / "run" / "model")
