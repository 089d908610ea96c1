"""Predict with a fine-tuned model from Python."""

import os
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from selfsup.inference.scoring import finite_scores
from selfsup.tasks.base import Examples, Task
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TaskModel, load_task_model
from selfsup.training.compute import Compute, choose_compute

_TEXT = (str, os.PathLike)
_SHOWN = 50  # characters of a value that is no text


class Predictor:
    """A fine-tuned model.

    Example:
        predictor = Predictor.load("runs/task")
        predictor.predict(["A film to see twice."])[0]["label"]
        answers = predictor.predict(df["text"])  # a column of pandas, polars or pyarrow
        df["label"] = [answer["label"] for answer in answers]
    """

    def __init__(self, loaded: TaskModel, compute: Compute) -> None:
        self._loaded, self._compute = loaded, compute
        self._loaded.model.to(compute.device).eval()

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> "Predictor":
        """Load a model folder, or the model of a run folder.

        Args:
            folder: the model folder or run folder.
            device: "auto", "cpu", "cuda" or "mps".
            precision: "auto", "bf16" or "float32".
            threads: processor threads; all cores if None.

        Raises:
            UserError: there is no fine-tuned model, or the device or precision is unavailable.
        """
        compute = choose_compute(device, precision, threads)
        return cls(load_task_model(folder), compute)

    @property
    def labels(self) -> Labels:
        """The labels that it predicts, if its task has any."""
        return self._loaded.labels

    @property
    def task(self) -> Task:
        """The task that it was trained for."""
        return self._loaded.task

    def predict(
        self,
        texts: Iterable[str],
        text_pairs: Iterable[str] | None = None,
        batch_size: int = 64,
    ) -> list[dict[str, Any]]:
        """Predict for each text, or pair of texts.

        Args:
            texts: strings in a list, an array or a column of a table, of any length; long ones are
                truncated or read in windows, as in training. For images their paths.
            text_pairs: the second text of each pair, or the context of each question, likewise.
            batch_size: most windows in a batch.

        Returns:
            an answer for each; from a classifier ``{"label", "probability", "probabilities":
            {label: probability}}``.

        Raises:
            TypeError: a single text, a whole table or a dict instead of texts, or one of the texts
                is missing (None, NaN) or a number; the message says where, and what to give.
            ValueError: not as many second texts as first ones.
            UserError: the task needs second texts and there are none, or the other way round; or
                the model's scores are not finite.
        """
        firsts = _list_of_texts(texts, "texts")
        seconds = None if text_pairs is None else _list_of_texts(text_pairs, "text_pairs")
        examples = self.task.examples_of(firsts, seconds)
        return self.predict_examples(examples, batch_size)

    def predict_examples(
        self,
        examples: Examples,
        batch_size: int = 64,
        after_batch: Callable[[float], None] = lambda share: None,
        tell: Callable[[str], None] = lambda note: None,
    ) -> list[dict[str, Any]]:
        """Predict for examples as the model's task reads or makes them; see ``predict``.

        ``after_batch`` takes the share that is done, ``tell`` takes sentences for the user, such as
        how many texts were truncated.
        """
        if not len(examples):
            return []
        loaded = self._loaded
        encoded = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation)
        for note in encoded.notes:
            tell(note)
        scores = finite_scores(
            loaded.model, encoded.windows, self._compute, batch_size, after_batch,
            source=loaded.folder,
        )  # fmt: skip
        return list(loaded.task.decode(scores, encoded, examples, loaded.labels))


def _list_of_texts(given: Iterable[Any], name: str) -> list[str]:
    """The texts as a list; a ``TypeError`` says what else was given, and what to give instead."""
    kind = type(given).__name__
    if isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(f"{name} is one {kind}: give a list of texts, such as [text]")
    # A table (of pandas, polars, pyarrow, datasets) would be iterated by its columns' names.
    if isinstance(given, Mapping) or hasattr(given, "columns") or hasattr(given, "column_names"):
        raise TypeError(f'{name} is a {kind}: give the column with the texts, such as df["text"]')
    if isinstance(given, Set) or not isinstance(given, Iterable):
        raise TypeError(f"{name} is a {kind}: give a list of texts, in the order of the answers")
    # A column of pyarrow is iterated by scalars of its own.
    values = getattr(given, "to_pylist", lambda: list(given))()
    wrong = [index for index, value in enumerate(values) if not isinstance(value, _TEXT)]
    if wrong:
        value = values[wrong[0]]
        more = f" (and {len(wrong) - 1:,} more of {len(values):,})" if wrong[1:] else ""
        fix = "leave such rows out, as df.dropna() does, or make each a str"
        if isinstance(value, (list, tuple)):
            fix = "for pairs give two lists, predict(texts, text_pairs)"
        raise TypeError(
            f"{name}[{wrong[0]}] is {repr(value)[:_SHOWN]}, of type {type(value).__name__}{more}, "
            f"and not a text: {fix}"
        )
    return [os.fspath(value) for value in values]
