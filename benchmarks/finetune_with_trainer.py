"""Fine-tune with transformers.Trainer, as its example scripts do."""

import collections
import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from seqeval.metrics import f1_score
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

DOC_STRIDE, MAX_ANSWER_LENGTH, BEST_ENDS = 128, 30, 20


class Prepared(NamedTuple):
    """The inputs of the Trainer.

    Attributes:
        model: the checkpoint with a new head.
        train, validation: encoded examples, or windows of them.
        collate: turns examples into a batch.
        metrics: computes metrics from the predictions and labels of the validation examples.
    """

    model: Any
    train: list[dict]
    validation: list[dict]
    collate: Callable
    metrics: Callable[[Any], dict[str, float]]


def fine_tune_with_trainer(
    task: str,
    checkpoint: Path,
    train: Path,
    validation: Path,
    *,
    metric: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    max_length: int,
    seed: int,
) -> list[float]:
    """Fine-tune; return the metric on the validation file after each epoch."""
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    prepared = PREPARE[task](checkpoint, tokenizer, train, validation, max_length)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            prepared.model,
            TrainingArguments(
                folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=32,
                learning_rate=learning_rate,
                seed=seed,
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=prepared.train,  # type: ignore[arg-type]
            eval_dataset=prepared.validation,  # type: ignore[arg-type]
            data_collator=prepared.collate,
            compute_metrics=prepared.metrics,
        )
        trainer.train()
        history = trainer.state.log_history
    return [float(entry[f"eval_{metric}"]) for entry in history if f"eval_{metric}" in entry]


def classification(checkpoint, tokenizer, train: Path, validation: Path, max_length: int):
    """As run_glue.py: a text or a pair, truncated to ``max_length`` tokens."""
    tables = [read_table(file) for file in (train, validation)]
    names = sorted({row["label"] for row in tables[0]})
    encoded = []
    for rows in tables:
        texts = [
            [row[column] for row in rows] for column in rows[0] if column not in ("label", "id")
        ]
        tokens = tokenizer(*texts, truncation=True, max_length=max_length)
        labels = [names.index(row["label"]) for row in rows]
        encoded.append(as_rows({**tokens, "labels": labels}))

    def metrics(result) -> dict[str, float]:
        return {"accuracy": float((result.predictions.argmax(-1) == result.label_ids).mean())}

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(names))
    return Prepared(model, encoded[0], encoded[1], DataCollatorWithPadding(tokenizer), metrics)


def tagging(checkpoint, tokenizer, train: Path, validation: Path, max_length: int):
    """As run_ner.py: the first piece of a word has its tag."""
    files = [read_sentences(file) for file in (train, validation)]
    names = sorted({tag for sentence in files[0] for _, tag in sentence})
    encoded = []
    for sentences in files:
        words = [[word for word, _ in sentence] for sentence in sentences]
        tokens = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length)
        labels = []
        for number, sentence in enumerate(sentences):
            of_tokens, previous = [], None
            for word in tokens.word_ids(number):
                tag = None if word is None or word == previous else sentence[word][1]
                # A tag that training lacks cannot be learned; it counts as O.
                of_tokens.append(-100 if tag is None else names.index(tag if tag in names else "O"))
                previous = word
            labels.append(of_tokens)
        encoded.append(as_rows({**tokens, "labels": labels}))
    # The tags of the file, so that truncated words and tags that training lacks count.
    true = [[tag for _, tag in sentence] for sentence in files[1]]

    def metrics(result) -> dict[str, float]:
        found = []
        for scores, labels, tags in zip(result.predictions, result.label_ids, true, strict=True):
            given = [names[tag] for tag in scores.argmax(-1)[labels != -100]]
            found.append(given + ["O"] * (len(tags) - len(given)))
        return {"f1": float(f1_score(true, found))}  # type: ignore[arg-type]

    model = AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=len(names))
    return Prepared(
        model, encoded[0], encoded[1], DataCollatorForTokenClassification(tokenizer), metrics
    )


def answering(checkpoint, tokenizer, train: Path, validation: Path, max_length: int):
    """As run_qa.py: windows of long contexts; the best answer over all windows of a question."""
    from selfsup.tasks.question_answering.squad_metrics import squad_metrics

    windows, _ = answer_windows(tokenizer, read_questions(train), max_length)
    questions = read_questions(validation)
    validation_windows, origins = answer_windows(tokenizer, questions, max_length)

    def metrics(result) -> dict[str, float]:
        best: dict[int, tuple[float, str]] = collections.defaultdict(lambda: (-np.inf, ""))
        starts, ends = result.predictions
        for (number, offsets), start, end in zip(origins, starts, ends, strict=True):
            score, (first, last) = best_span(start, end, offsets)
            if score > best[number][0]:
                best[number] = score, questions[number]["context"][first:last]
        return squad_metrics(
            [best[number][1] for number in range(len(questions))],
            [[answer["text"] for answer in question["answers"]] for question in questions],
            may_be_unanswerable=False,
        )

    model = AutoModelForQuestionAnswering.from_pretrained(checkpoint)
    collate = DataCollatorWithPadding(tokenizer)
    return Prepared(model, windows, validation_windows, collate, metrics)


def answer_windows(tokenizer, questions: list[dict], max_length: int):
    """Windows with the position of the first answer; of ``[CLS]`` if it is not whole in the window.

    Returns:
        the windows; and for each the index of its question and the character spans of its tokens,
        None outside the context.
    """
    tokens = tokenizer(
        [question["question"].lstrip() for question in questions],
        [question["context"] for question in questions],
        truncation="only_second",
        max_length=max_length,
        stride=DOC_STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    numbers = tokens.pop("overflow_to_sample_mapping")
    offsets = tokens.pop("offset_mapping")
    origins, starts, ends = [], [], []
    for window, number in enumerate(numbers):
        in_context = [
            span if segment == 1 else None
            for span, segment in zip(offsets[window], tokens.sequence_ids(window), strict=True)
        ]
        origins.append((number, in_context))
        answer = questions[number]["answers"][0]
        first = answer["answer_start"]
        last = first + len(answer["text"])
        start = [t for t, span in enumerate(in_context) if span and span[0] <= first < span[1]]
        end = [t for t, span in enumerate(in_context) if span and span[0] < last <= span[1]]
        is_whole = bool(start and end)
        starts.append(start[0] if is_whole else 0)
        ends.append(end[0] if is_whole else 0)
    rows = as_rows({**tokens, "start_positions": starts, "end_positions": ends})
    return rows, origins


def best_span(start, end, offsets: list) -> tuple[float, tuple[int, int]]:
    """The best answer in a window: its score and its character span."""
    best, span = -np.inf, (0, 0)
    for first in np.argsort(start)[: -BEST_ENDS - 1 : -1]:
        for last in np.argsort(end)[: -BEST_ENDS - 1 : -1]:
            is_inside = first < len(offsets) and last < len(offsets)
            if not is_inside or offsets[first] is None or offsets[last] is None:
                continue
            score = start[first] + end[last]
            if first <= last < first + MAX_ANSWER_LENGTH and score > best:
                best, span = float(score), (offsets[first][0], offsets[last][1])
    return best, span


PREPARE = {
    "sequence-classification": classification,
    "pair-classification": classification,
    "token-classification": tagging,
    "question-answering": answering,
}


def read_table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def read_sentences(file: Path) -> list[list[tuple[str, str]]]:
    """Read sentences of (word, tag)."""
    parts = file.read_text(encoding="utf-8").split("\n\n")
    return [
        [(line.split("\t")[0], line.split("\t")[-1]) for line in part.split("\n") if line]
        for part in parts
        if part.strip()
    ]


def read_questions(file: Path) -> list[dict]:
    """Read questions with their context and answers."""
    return [
        {**question, "context": paragraph["context"]}
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


def as_rows(columns: dict[str, list]) -> list[dict]:
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
