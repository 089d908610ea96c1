"""What a command prints for a person when it has ended: a few lines and tables.

Each function takes the command's result, which is the object that `--json` prints, and leaves out
what the result does not have. Where standard output is not a terminal, it is plain text.
"""

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfsup.report import formatting
from selfsup.report.demo import demo_task, demo_verdict, is_image_demo, ways_of
from selfsup.report.formatting import (
    metric_title,
    percent,
    read_score,
    whole,
    write_score,
)
from selfsup.report.verdict import BASELINE, baseline_cells, verdict
from selfsup.report.worth import about_table, encoder_worth, model_table
from selfsup.terminal import line_for, raw

Result = dict[str, Any]
Fact = tuple[str, str, Callable[[Any], str]]
"""A key of the result, its name, and the function that formats its value."""

_OUT: Fact = ("out", "Written to", str)
_EXAMPLES: Fact = ("examples", "Examples", whole)
_SECONDS: Fact = ("seconds", "Time", formatting.duration)

# A guess's cell in a column, by the column's heading.
_CELLS: dict[str, Callable[[Result], str]] = {
    "Token": itemgetter("token"),
    "Answer": lambda guess: guess["answer"] or "(no answer)",
    "Entity": itemgetter("text"),
    "Type": itemgetter("label"),
    "Characters": lambda of: "" if of["start"] is None else f"{of['start']}–{of['end']}",
    "Probability": lambda guess: percent(guess["probability"]),
}

_MASKING = {"mask": "becomes [MASK]", "random": "becomes a random token", "same": "stays"}
_OF_PAGES = {
    "en": "in English; --language ko: in Korean", "ko": "in Korean; --language en: in English",
}  # fmt: skip

# The input of an example command, for tasks whose input is not one sentence.
_EXAMPLE_INPUTS = {
    "pair-classification": '"A sentence." --text-pair "Another."',
    "question-answering": '"A text." --question "A question?"',
    "image-classification": "image.jpg",
}
_WITH_OWN_TEXT = (
    "With your own text (.txt, .jsonl, .csv, .parquet, or folders of them):",
    "selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 20m",
    'selfsup fill-mask runs/mine "A sentence with a [MASK] in it."',
    "selfsup finetune sequence-classification --encoder runs/mine --train train.tsv "
    "--validation dev.tsv --out runs/task",
    'selfsup predict runs/task "A new sentence."',
    "selfsup report runs/mine",
)
_WITH_OWN_IMAGES = (
    "With your own images (.jpg, .png, …, in folders):",
    "selfsup pretrain my-photos/ --encoder vit-tiny --out runs/seen --budget 20m",
    "selfsup finetune image-classification --encoder runs/seen --train train/ "
    "--validation dev/ --out runs/task",
    "selfsup predict runs/task photo.jpg",
    "selfsup report runs/seen",
)


def show_demo(result: Result) -> None:
    _print_verdict(demo_verdict(result))
    _print_line(demo_task(result))
    rows = [
        (name, write_score("accuracy", score), about)
        for key, name, about in ways_of(result)
        if (score := read_score((result.get(key) or {}).get("accuracy")))
    ]
    _print_table(("Encoder", "Accuracy", ""), rows)
    for masked in result.get("fill_mask") or []:
        guesses = masked.get("candidates") or []
        _print_line(masked.get("text", ""))
        shown = [f"{guess['token']} {percent(guess['probability'])}" for guess in guesses]
        _print_line("    " + ", ".join(shown))
    _print_line(f"Report: {result['report']}" if result.get("report") else "")
    _print_commands(*(_WITH_OWN_IMAGES if is_image_demo(result) else _WITH_OWN_TEXT))


def show_explanation(result: Result) -> None:
    if "chosen" not in result:
        return
    chosen, count = result["chosen"], len(result["tokens"]) - 2
    _print_line(f"Tokens: {' '.join(result['tokens'])}")
    _print_line(
        f"Random seed {result['seed']} chooses {len(chosen)} of {count} tokens "
        f"({percent(len(chosen) / count)}; by the rule 15 %):"
    )
    _print_table(
        ("Position", "Token", "What happens", "The model reads"),
        [
            (str(each["position"]), each["token"], _MASKING[each["action"]], each["reads"])
            for each in chosen
        ],
    )
    _print_line(f"The model reads: {' '.join(result['reads'])}")
    _print_line(f"Course page: {result['page']} ({_OF_PAGES[result['language']]})")


def show_tokenizer(result: Result) -> None:
    _print_facts(result, ("vocab_size", "Vocabulary", whole), _OUT)
    _print_next(result, "selfsup prepare CORPUS --tokenizer {out} --out SHARDS")


def show_shards(result: Result) -> None:
    _print_facts(
        result,
        ("documents", "Documents", whole),
        ("sentences", "Sentences", whole),
        ("tokens", "Tokens", whole),
        ("duplicate_documents", "Duplicate documents dropped", whole),
        ("duplicate_paragraphs", "Duplicate paragraphs dropped", whole),
        ("bad_records", "Records that could not be read", whole),
        _OUT,
    )
    _print_next(result, "selfsup pretrain {out} --encoder bert-mini --out RUN")


def show_pretraining(result: Result) -> None:
    _print_facts(
        result.get("vocabulary_extension") or {},
        ("added", "Tokens added", whole),
        ("tokens_per_word_before", "Tokens per word before", "{:.3f}".format),
        ("tokens_per_word_after", "Tokens per word after", "{:.3f}".format),
    )
    chance = result.get("jigsaw_chance")
    by_chance = "" if chance is None else f" (chance is {percent(chance)})"
    _print_facts(
        result,
        ("mlm_loss", "Held-out loss", "{:.3f} nats per masked token".format),
        ("mlm_accuracy", "Masked-token accuracy", percent),
        ("nsp_accuracy", "Next-sentence accuracy", percent),
        ("inpainting_loss", "Held-out inpainting loss", "{:.3f}".format),
        ("inpainting_pixel_error", "Squared error of masked pixels", "{:.5f}".format),
        ("mean_colour_error", "Squared error of the mean colour", "{:.5f}".format),
        ("jigsaw_accuracy", "Jigsaw accuracy", lambda share: percent(share) + by_chance),
        ("steps", "Steps", whole),
        ("tokens", "Tokens seen", formatting.count),
        ("images", "Images seen", formatting.count),
        ("tokens_per_second", "Tokens per second", whole),
        ("images_per_second", "Images per second", whole),
        ("flops_utilization", "Hardware utilisation", percent),
        _SECONDS,
        _OUT,
    )
    on_images = "images" in result
    task, data = ("image", "FOLDER") if on_images else ("sequence", "FILE")
    flags = f"--train {data} --validation {data} --out RUN"
    commands = [
        f"selfsup finetune {task}-classification --encoder {{out}} {flags}",
        "selfsup report {out}",
    ]
    if result.get("mlm_loss") is not None:
        commands.insert(0, 'selfsup fill-mask {out} "A sentence with a [MASK] in it."')
    _print_next(result, *commands)


def show_finetuning(result: Result) -> None:
    if "layers" in result:
        _show_layers(result)
        return
    kept = None
    if epochs := result.get("best_epochs"):
        seed = result["best_seed"]
        kept = f"seed {seed}, " if len(result["seeds"]) > 1 else ""
        kept += f"epoch {epochs[str(seed)]} of {result['epochs']}"
    _print_verdict(verdict(result))
    _print_line(encoder_worth(result))
    head, rows = model_table(result)
    if rows:
        _print_table(head, rows)
        _print_line(about_table(result))
    else:
        _print_metrics(result)
    _print_facts(
        result | {"kept": kept},
        ("kept", "Kept", str),
        _SECONDS,
        _OUT,
    )
    given = _EXAMPLE_INPUTS.get(result.get("task", ""), '"A new sentence."')
    _print_next(result, f"selfsup predict {{out}} {given}", "selfsup report {out}")


def _show_layers(result: Result) -> None:
    """The learning rate of each part of a model."""
    rows = []
    for row in result["layers"]:
        rate = row["learning_rate"]
        shown = "frozen" if rate is None else f"{rate:.3g}"
        shown += " (reinitialised)" if row["reinitialized"] else ""
        epoch = "" if row["from_epoch"] is None else row["from_epoch"]
        rows.append((row["pattern"], row["parameters"], whole(row["size"]), shown, epoch))
    is_gradual = any((row["from_epoch"] or 1) > 1 for row in result["layers"])
    head = ("Pattern", "Parameters", "Size", "Learning rate", "From epoch")[
        : 5 if is_gradual else 4
    ]
    _print_table(head, [row[: len(head)] for row in rows])
    _print_line(f"{whole(result['learning'])} of {whole(result['size'])} parameters are trainable.")


def show_evaluation(result: Result) -> None:
    _print_metrics(result)
    _print_facts(result, _EXAMPLES, ("predictions", "Predictions", str))


def show_prediction(result: Result) -> None:
    """The prediction for one input with its probabilities, or a summary of those for a file."""
    answer = result.get("label", result.get("value"))
    if answer is not None:
        _print_line(f"{answer:.4g}" if isinstance(answer, float) else str(answer))
    ranked = sorted((result.get("probabilities") or {}).items(), key=lambda entry: -entry[1])
    _print_table(("Label", "Probability"), [(label, percent(share)) for label, share in ranked])
    _print_guesses(("Answer", "Characters", "Probability"), result.get("n_best"))
    _print_facts(
        result,
        _EXAMPLES,
        ("answered", "Answered", whole),
        ("unanswered", "Without an answer", whole),
        _OUT,
    )
    # Entities and labels are lists for one text, and counts for a file.
    entities, labels = result.get("entities"), result.get("labels")
    if isinstance(entities, dict):
        _print_table(("Type", "Found"), _counts(entities))
    else:
        _print_guesses(("Entity", "Type", "Characters", "Probability"), entities)
        _print_line("No entities" if entities == [] else "")
    if isinstance(labels, list):
        _print_line(f"Labels: {', '.join(labels)}" if labels else "No label")
        return
    values = result.get("values") or {}
    _print_table((), [(f"{name.capitalize()} value", f"{x:.4g}") for name, x in values.items()])
    _print_table(("Label", "Predicted"), _counts(labels or {}))


def show_filled_masks(result: Result) -> None:
    masks = result.get("masks") or []
    for number, mask in enumerate(masks, 1):
        _print_line(f"[MASK] {number} of {len(masks)}" if len(masks) > 1 else "")
        _print_guesses(("Token", "Probability"), mask.get("candidates"))


def show_diagnosis(result: Result) -> None:
    """What was counted, each problem with its fix, and what was examined."""
    facts = {"Path": result.get("path"), "Type": result.get("kind")}
    for name, value in (result.get("counts") or {}).items():
        facts[name.replace("_", " ").capitalize()] = _counted(value)
    _print_table((), [(name, value) for name, value in facts.items() if value])
    problems = result.get("problems") or []
    _print_table(("Problem", "Fix"), [(p.get("what", ""), p.get("fix", "")) for p in problems])
    examined = ", ".join(result.get("examined") or ["nothing"])
    _print_line(f"Examined: {examined}.{'' if problems else ' No problem was found in these.'}")


def _counted(value: Any) -> str:
    """A name, a count, or several counts by name after their sum."""
    if isinstance(value, dict):
        each = "; ".join(f"{name}: {number}" for name, number in _counts(value))
        return f"{whole(sum(value.values()))} ({each})" if value else "0"
    return value if isinstance(value, str) else whole(value)


def _counts(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, whole(number)) for name, number in counts.items()]


def _print_verdict(text: str) -> None:
    if text:
        _console().print(Text(line_for(sys.stdout, text), style="bold"), soft_wrap=True)
        _console().print()


def _print_metrics(result: Result) -> None:
    found = {name: read_score(entry) for name, entry in (result.get("metrics") or {}).items()}
    scores = {name: score for name, score in found.items() if score}
    rows = [[metric_title(name), write_score(name, score)] for name, score in scores.items()]
    levels = baseline_cells(result, scores)
    for row, level in zip(rows, levels, strict=False):  # there may be none
        row.append(level)
    _print_table(("Metric", "Value", *([BASELINE] if levels else [])), rows)


def _print_guesses(head: Sequence[str], guesses: Iterable[Result] | None) -> None:
    """Print a table of guesses, with columns of ``_CELLS``."""
    _print_table(head, [[_CELLS[name](guess) for name in head] for guess in guesses or ()])


def _print_facts(result: Mapping[str, Any], *facts: Fact) -> None:
    """Print a line for each key that the result has: its name and its formatted value."""
    rows = [
        (name, write(result[key]))
        for key, name, write in facts
        if result.get(key) is not None and (write is str or formatting.is_number(result[key]))
    ]
    _print_table((), rows)


def _print_next(result: Result, *commands: str) -> None:
    """Print what to do next with the result's ``out``, if it has one."""
    if out := result.get("out"):
        _print_commands("Next:", *(command.format(out=shlex.quote(out)) for command in commands))


def _print_commands(introduction: str, *commands: str) -> None:
    """Print commands to try, each on a line of its own without breaks."""
    _console().print(introduction, style="dim", soft_wrap=True)
    for command in commands:
        _print_line(f"  {command}")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, or nothing if it has no rows; ``head`` is empty for two unnamed columns."""
    if not rows:
        return
    console = _console()
    box = SIMPLE_HEAD if console.is_terminal and head else None
    table = Table(box=box, show_header=bool(head), pad_edge=False, padding=(0, 2, 0, 0))
    for name in head or ("", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        # As Text, so that rich does not take [MASK] and other brackets for markup.
        table.add_row(*(Text(line_for(sys.stdout, str(cell))) for cell in row))
    console.print(table)
    console.print()


def _print_line(text: str) -> None:
    """Print a line without breaks, or nothing if it is empty."""
    if text:
        _console().print(Text(line_for(sys.stdout, text)), soft_wrap=True)


def _console() -> Console:
    # Made for each use, as standard output may have been redirected. A file or a pipe has no width,
    # so lines may be long there.
    out = raw(sys.stdout)
    console = Console(file=out, highlight=False)
    return console if console.is_terminal else Console(file=out, highlight=False, width=200)


SHOW: dict[str, Callable[[Result], None]] = {
    "demo": show_demo,
    "explain": show_explanation,
    "train-tokenizer": show_tokenizer,
    "prepare": show_shards,
    "pretrain": show_pretraining,
    "resume": lambda result: SHOW["finetune" if "task" in result else "pretrain"](result),
    "finetune": show_finetuning,
    "evaluate": show_evaluation,
    "predict": show_prediction,
    "fill-mask": show_filled_masks,
    "report": lambda result: _print_line(f"Report: {result['report']}"),
    "doctor": show_diagnosis,
}
"""The function that prints a command's result, by the command's name."""
