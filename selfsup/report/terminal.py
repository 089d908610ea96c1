"""What a command prints when it has ended: a few lines and tables, plain where there's no terminal.

Each function takes the command's result, the same object that `--json` prints, and leaves out what
is not in it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfsup.report import numbers
from selfsup.report.demo import demo_task
from selfsup.report.demo_ways import is_on_images, verdict, ways_of
from selfsup.report.scores import metric_title, read_score, write_score

Result = dict[str, Any]

# What a model is given to predict from, where that is not one sentence.
_GIVEN = {
    "pair-classification": '"A sentence." --text-pair "Another."',
    "question-answering": '"A text." --question "A question?"',
    "image-classification": "image.jpg",
}


# What the doctor says first.
_LOOKED_AT = (("path", "Looked at"), ("kind", "Which is"))


def show_demo(result: Result) -> None:
    """The ways to learn the task, the sentence about them, filled masks, what to try next."""
    _line(demo_task(result))
    rows = []
    for key, name, about in ways_of(result):
        score = read_score((result.get(key) or {}).get("accuracy"))
        if score:
            rows.append((name, write_score("accuracy", score), about))
    _table(("Encoder", "Accuracy", ""), rows)
    _line(verdict(result))
    for example in result.get("fill_mask") or []:
        _line(str(example.get("text", "")))
        _line("    " + ", ".join(_candidate(entry) for entry in example.get("candidates") or []))
    _line(f"Report: {result['report']}" if result.get("report") else "")
    if is_on_images(result):
        _next(
            "With your own images (.jpg, .png, …, in folders):",
            "selfsup pretrain my-photos/ --encoder vit-tiny --out runs/seen --budget 20m",
            "selfsup finetune image-classification --encoder runs/seen --train train/ "
            "--validation dev/ --out runs/task",
            "selfsup predict runs/task photo.jpg",
            "selfsup report runs/seen",
        )
        return
    _next(
        "With your own text (.txt, .jsonl, .csv, .parquet, or folders of them):",
        "selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 20m",
        'selfsup fill-mask runs/mine "A sentence with a [MASK] in it."',
        "selfsup finetune sequence-classification --encoder runs/mine --train train.tsv "
        "--validation dev.tsv --out runs/task",
        'selfsup predict runs/task "A new sentence."',
        "selfsup report runs/mine",
    )


def show_tokenizer(result: Result) -> None:
    """How large the vocabulary is, and where it lies."""
    _facts(result, ("vocab_size", "Vocabulary", _whole), ("out", "Written to", str))
    if result.get("out"):
        command = f"selfsup prepare CORPUS --tokenizer {result['out']} --out SHARDS"
        _next("Next:", command)


def show_shards(result: Result) -> None:
    """What was read, kept and dropped, and where the shards lie."""
    _facts(
        result,
        ("documents", "Documents", _whole),
        ("sentences", "Sentences", _whole),
        ("tokens", "Tokens", _whole),
        ("duplicate_documents", "Duplicate documents dropped", _whole),
        ("duplicate_paragraphs", "Duplicate paragraphs dropped", _whole),
        ("bad_records", "Records that could not be read", _whole),
        ("out", "Written to", str),
    )
    if result.get("out"):
        _next("Next:", f"selfsup pretrain {result['out']} --encoder bert-mini --out RUN")


def show_pretraining(result: Result) -> None:
    """The held-out measurements, the speed, and where the run lies."""
    _facts(
        result.get("vocabulary_extension") or {},
        ("added", "Tokens added", _whole),
        ("tokens_per_word_before", "Tokens a word before", "{:.3f}".format),
        ("tokens_per_word_after", "Tokens a word after", "{:.3f}".format),
    )
    _facts(
        result,
        ("mlm_loss", "Held-out loss", "{:.3f} nats per masked token".format),
        ("mlm_accuracy", "Masked tokens guessed right", numbers.percent),
        ("nsp_accuracy", "Next sentence guessed right", numbers.percent),
        ("inpainting_loss", "Held-out inpainting loss", "{:.3f}".format),
        ("inpainting_pixel_error", "Squared error of missing pixels", "{:.5f}".format),
        ("mean_colour_error", "The same, with the mean colour", "{:.5f}".format),
        ("jigsaw_accuracy", "Tiles put right", _beside_chance(result.get("jigsaw_chance"))),
        ("steps", "Steps", _whole),
        ("tokens", "Tokens seen", numbers.count),
        ("images", "Images seen", numbers.count),
        ("tokens_per_second", "Tokens a second", _whole),
        ("images_per_second", "Images a second", _whole),
        ("flops_utilization", "Of the machine's peak", numbers.percent),
        ("seconds", "Time", numbers.duration),
        ("out", "Written to", str),
    )
    if run := result.get("out"):
        use = f'selfsup fill-mask {run} "A sentence with a [MASK] in it."'
        if "images" in result:
            use = (
                f"selfsup finetune image-classification --encoder {run} --train FOLDER "
                "--validation FOLDER --out RUN"
            )
        _next("Next:", use, f"selfsup report {run}")


def show_finetuning(result: Result) -> None:
    """Each metric, with mean and standard deviation where there are several seeds."""
    if "layers" in result:
        _show_layers(result)
        return
    _metrics(result)
    _facts(result, ("seconds", "Time", numbers.duration), ("out", "Written to", str))
    if run := result.get("out"):
        given = _GIVEN.get(result.get("task", ""), '"A new sentence."')
        _next("Next:", f"selfsup predict {run} {given}", f"selfsup report {run}")


def show_evaluation(result: Result) -> None:
    """Each metric, over how many examples, and where the predictions lie."""
    _metrics(result)
    _facts(result, ("examples", "Examples", _whole), ("predictions", "Predictions", str))


def show_prediction(result: Result) -> None:
    """The answer to one text with its probabilities, or where the answers to a file lie."""
    answer = result.get("label", result.get("value"))
    if answer is not None:
        _line(_number_or_text(answer))
    probabilities = result.get("probabilities") or {}
    ranked = sorted(probabilities.items(), key=lambda entry: -entry[1])
    _table(("Label", "Probability"), [(str(label), numbers.percent(p)) for label, p in ranked])
    _table(
        ("Answer", "Characters", "Probability"),
        [_answer(entry) for entry in result.get("n_best") or []],
    )
    _facts(
        result,
        ("examples", "Examples", _whole),
        ("answered", "Answered", _whole),
        ("unanswered", "Without an answer", _whole),
        ("out", "Written to", str),
    )
    entities = result.get("entities") or []
    if isinstance(entities, list):
        _table(
            ("Entity", "Type", "Characters", "Probability"),
            [
                (
                    str(entity["text"]),
                    str(entity["label"]),
                    f"{entity['start']}–{entity['end']}",
                    numbers.percent(entity["probability"]),
                )
                for entity in entities
            ],
        )
        if "entities" in result and not entities:
            _line("No entities")
    else:
        _table(("Type", "Found"), [(str(kind), _whole(n)) for kind, n in entities.items()])
    counts = result.get("labels", {})
    if isinstance(counts, list):  # of one text; of a file it says how many have each
        _line(f"Labels: {', '.join(counts)}" if counts else "No label")
        return
    values = result.get("values") or {}
    _table((), [(f"{name.capitalize()} value", f"{value:.4g}") for name, value in values.items()])
    _table(("Label", "Predicted"), [(str(label), _whole(count)) for label, count in counts.items()])


def show_filled_masks(result: Result) -> None:
    """For each [MASK] in the text its candidates with their probabilities."""
    masks = result.get("masks") or []
    for number, mask in enumerate(masks, 1):
        _line(f"[MASK] {number} of {len(masks)}" if len(masks) > 1 else "")
        _table(
            ("Token", "Probability"),
            [
                (str(entry["token"]), numbers.percent(entry["probability"]))
                for entry in mask.get("candidates") or []
            ],
        )


def show_report(result: Result) -> None:
    """Where the page lies."""
    _line(f"Report: {result['report']}")


def show_diagnosis(result: Result) -> None:
    """What was looked at, what was counted, and each thing that is wrong with its mend."""
    counts = (result.get("counts") or {}).items()
    _table(
        (),
        [(name, str(result[key])) for key, name in _LOOKED_AT if result.get(key)]
        + [(name.replace("_", " ").capitalize(), _counted(value)) for name, value in counts],
    )
    problems = result.get("problems") or []
    _table(("Wrong", "Mend"), [(p.get("what", ""), p.get("mend", "")) for p in problems])
    if not problems:
        _line("Nothing is wrong with it.")


def _show_layers(result: Result) -> None:
    """How each part of a model learns."""
    later = any((row["from_epoch"] or 1) > 1 for row in result["layers"])
    rows = []
    for row in result["layers"]:
        rate = row["learning_rate"]
        shown = "frozen" if rate is None else f"{rate:.3g}"
        shown += " (drawn anew)" if row["reinitialized"] else ""
        epoch = "" if row["from_epoch"] is None else str(row["from_epoch"])
        cells = (row["pattern"], str(row["parameters"]), _whole(row["size"]), shown)
        rows.append((*cells, epoch) if later else cells)
    head = ("Pattern", "Parameters", "Size", "Learning rate")
    _table((*head, "From epoch") if later else head, rows)
    _line(f"{_whole(result['learning'])} of {_whole(result['size'])} numbers learn.")


def _metrics(result: Result) -> None:
    scores = {name: read_score(entry) for name, entry in (result.get("metrics") or {}).items()}
    _table(
        ("Metric", "Value"),
        [(metric_title(name), write_score(name, score)) for name, score in scores.items() if score],
    )


def _beside_chance(chance: float | None) -> Callable[[float], str]:
    """Writes an accuracy, and beside it what guessing gives."""
    by_chance = "" if chance is None else f" (chance is {numbers.percent(chance)})"
    return lambda accuracy: numbers.percent(accuracy) + by_chance


def _answer(entry: Result) -> tuple[str, str, str]:
    place = "" if entry["start"] is None else f"{entry['start']}–{entry['end']}"
    return entry["answer"] or "(no answer)", place, numbers.percent(entry["probability"])


def _candidate(entry: Result) -> str:
    return f"{entry['token']} {numbers.percent(entry['probability'])}"


def _facts(result: Result, *facts: tuple[str, str, Any]) -> None:
    """A line for each key that the result has: its name, and its value as `write` writes it."""
    rows = [
        (name, write(result[key]))
        for key, name, write in facts
        if result.get(key) is not None and (write is str or numbers.is_number(result[key]))
    ]
    _table((), rows)


def _next(introduction: str, *commands: str) -> None:
    console = _console()
    console.print(introduction, style="dim", soft_wrap=True)
    for command in commands:
        console.print(Text(f"  {command}"), soft_wrap=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    console = _console()
    box = SIMPLE_HEAD if console.is_terminal and head else None
    table = Table(box=box, show_header=bool(head), pad_edge=False, padding=(0, 2, 0, 0))
    for name in head or ("", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        # As text, so that [MASK] and other brackets are not taken for rich's markup.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    console.print()


def _line(text: str) -> None:
    if text:
        _console().print(Text(text), soft_wrap=True)


def _console() -> Console:
    # Made when it is used: standard output may have been redirected since the import. A file or a
    # pipe has no width of its own, and a line there need not fit one.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _counted(value: Any) -> str:
    """A count, a name, or the counts of some names with their sum before them."""
    if isinstance(value, dict):
        each = ", ".join(f"{name} {_whole(count)}" for name, count in value.items())
        return f"{_whole(sum(value.values()))} ({each})" if value else "0"
    return str(value) if isinstance(value, str) else _whole(value)


def _number_or_text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
