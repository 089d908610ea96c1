"""Tasks that a tiny model learns in seconds, and settings to fine-tune on them.

- Texts: a good word makes a text "up", a bad one "down".
- Entities: they begin with one of the first two good (or bad) words, and may continue with the
  others.
- Questions: the answer is the only good word.
- Images: the class is the direction of the stripes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.huggingface.config import config_of
from selfsup.encoder.huggingface.vit_folder import save_vit
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.pretraining.text.model import TextPretrainingModel, save_pretraining
from selfsup.settings.finetune import FinetuneSettings
from tests.encoder_folders import vit_state

GOOD = ("fine", "great", "warm", "witty")
BAD = ("dull", "grim", "lame", "vapid")
OTHER = ("a", "the", "film", "plot", "is", "was", "very", ",", "##s")
VOCABULARY = (*SPECIAL_TOKENS, *GOOD, *BAD, *OTHER)

CONFIG = EncoderConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=32,
)


def toy_tokenizer() -> Tokenizer:
    ids = {token: index for index, token in enumerate(VOCABULARY)}
    return wordpiece_tokenizer(ids, lowercase=True, strip_accents=False)


def write_toy_model(folder: Path, *objectives: str) -> Path:
    """Write a model folder with random weights and the heads of these objectives."""
    save_tokenizer(toy_tokenizer(), folder)
    model = TextPretrainingModel(BertEncoder(CONFIG), objectives or ("mlm", "nsp"))
    initialize(model, 0.15, seed=4)
    save_pretraining(folder, model.eval(), folder, "# Toy\n")
    return folder


def toy_examples(count: int, seed: int) -> list[tuple[str, str]]:
    """Make (label, text) pairs of two to eleven words, half of each label."""
    random = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        label, label_words = (("up", GOOD), ("down", BAD))[number % 2]
        words = list(random.choice(OTHER[:-1], random.integers(1, 11)))
        words.insert(random.integers(len(words) + 1), str(random.choice(label_words)))
        examples.append((label, " ".join(words)))
    return examples


def write_toy_file(path: Path, count: int, seed: int) -> Path:
    lines = ["label\tsentence", *("\t".join(example) for example in toy_examples(count, seed))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


TAGS = ("O", "B-BAD", "I-BAD", "B-GOOD", "I-GOOD")


def toy_sentences(count: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Make sentences as (words, tags)."""
    random = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        words, tags = [], []
        for _ in range(random.integers(2, 7)):
            kind, kind_words = (("GOOD", GOOD), ("BAD", BAD), ("", ()))[random.integers(3)]
            if not kind:
                words.append(str(random.choice((*OTHER[:-1], "films"))))
                tags.append("O")
                continue
            inside = random.integers(3)
            words += [str(random.choice(kind_words[:2]))]
            words += map(str, random.choice(kind_words[2:], inside))
            tags += [f"B-{kind}"] + [f"I-{kind}"] * int(inside)
        sentences.append((words, tags))
    return sentences


def write_toy_conll(path: Path, count: int, seed: int) -> Path:
    blocks = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        for words, tags in toy_sentences(count, seed)
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def toy_questions(count: int, seed: int, *, unanswerable: bool = False) -> list[dict]:
    """Make SQuAD paragraphs of one question; with ``unanswerable`` every third has no answer."""
    random = np.random.default_rng(seed)
    paragraphs = []
    for number in range(count):
        words = list(map(str, random.choice(OTHER[:-1], random.integers(6, 30))))
        answer = str(random.choice(GOOD)).capitalize()
        question = {"id": f"q{number}", "question": "the film is", "answers": []}
        if unanswerable:
            question["is_impossible"] = number % 3 == 0
        if not (unanswerable and number % 3 == 0):
            words.insert(random.integers(len(words) + 1), answer)
            start = " ".join(words).index(answer)
            question["answers"] = [{"text": answer, "answer_start": start}]
        paragraphs.append({"context": " ".join(words), "qas": [question]})
    return paragraphs


def write_toy_questions(path: Path, count: int, seed: int, *, unanswerable: bool = False) -> Path:
    paragraphs = toy_questions(count, seed, unanswerable=unanswerable)
    version = "v2.0" if unanswerable else "1.1"
    path.write_text(json.dumps({"version": version, "data": [{"paragraphs": paragraphs}]}))
    return path


VIT_CONFIG = VitConfig(
    image_size=16,
    patch_size=4,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
)
CLASSES = ("across", "along", "plain")


def toy_image(label: str, number: int) -> np.ndarray:
    """Make noisy grey stripes four pixels wide: uint8 [H, W, 3], 20 to 27 pixels a side."""
    random = np.random.default_rng([number, CLASSES.index(label)])
    height, width = random.integers(20, 28, 2)
    rows, columns = np.indices((height, width)) // 4 % 2
    stripes = {"across": rows, "along": columns, "plain": np.zeros_like(rows)}[label]
    grey = 60 + 120 * stripes[..., None] + random.integers(0, 40, (height, width, 3))
    return grey.astype(np.uint8)


def write_toy_images(folder: Path, count: int, seed: int = 0) -> Path:
    """Write a folder for each class, with ``count`` images in each."""
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(toy_image(label, 1000 * seed + number))
            image.save(folder / label / f"{number:03}.png")
    return folder


def write_toy_vit(folder: Path) -> Path:
    """Write a ViT model folder with random weights."""
    encoder = VitEncoder(VIT_CONFIG)
    initialize(encoder, 0.1, seed=1)
    save_vit(folder, vit_state(encoder), config_of(VIT_CONFIG, "ViTModel"), "# Toy\n")
    return folder


ON_CPU: dict[str, Any] = {"device": "cpu", "precision": "float32", "threads": 1}


def toy_settings(
    files: Path, out: Path, *, task: str = "sequence-classification", **changed: Any
) -> FinetuneSettings:
    """Settings to train on the files ``train``, ``dev`` and ``encoder`` of a folder."""
    ending = "conll" if task == "token-classification" else "tsv"
    values = {
        "task": task,
        "encoder": str(files / "encoder"),
        "train": str(files / f"train.{ending}"),
        "validation": str(files / f"dev.{ending}"),
        "out": str(out),
        "max_length": 16,
        "batch_size": 16,
        "learning_rate": 3e-3,
        **ON_CPU,
    }
    return FinetuneSettings(**(values | changed))
