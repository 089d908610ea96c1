"""What a command prints for a person when it has ended: a few lines and tables.

Each function takes the command's result, which is the object that `--json` prints, and leaves out
what the result does not have.
"""

import shlex
from collections.abc import Callable
from functools import partial
from typing import Any

from selfsup.cli.console import print_facts, print_line, print_next, print_table
from selfsup.report import formatting
from selfsup.report.demo import demo_task, is_image_demo, verdict, ways_of
from selfsup.report.formatting import metric_title, read_score, write_metric, write_score

Result = dict[str, Any]

# The input of an example command, for tasks whose input is not one sentence.
_EXAMPLE_INPUTS = {
    "pair-classification": '"A sentence." --text-pair "Another."',
    "question-answering": '"A text." --question "A question?"',
    "image-classification": "image.jpg",
}

_MASKING = {"mask": "becomes [MASK]", "random": "becomes a random token", "same": "stays"}
_OF_PAGES = {
    "en": "in English; --language ko: in Korean", "ko": "in Korean; --language en: in English",
}  # fmt: skip

# What the doctor prints first.
_CHECKED = (("path", "Checked"), ("kind", "Type"))


def show_demo(result: Result) -> None:
    """The accuracy of each encoder, a sentence about it, filled masks, and what to try next."""
    print_line(demo_task(result))
    rows = []
    for key, name, about in ways_of(result):
        score = read_score((result.get(key) or {}).get("accuracy"))
        if score:
            rows.append((name, write_score("accuracy", score), about))
    print_table(("Encoder", "Accuracy", ""), rows)
    print_line(verdict(result))
    for example in result.get("fill_mask") or []:
        print_line(str(example.get("text", "")))
        print_line(
            "    " + ", ".join(_candidate(entry) for entry in example.get("candidates") or [])
        )
    print_line(f"Report: {result['report']}" if result.get("report") else "")
    if is_image_demo(result):
        print_next(
            "With your own images (.jpg, .png, …, in folders):",
            "selfsup pretrain my-photos/ --encoder vit-tiny --out runs/seen --budget 20m",
            "selfsup finetune image-classification --encoder runs/seen --train train/ "
            "--validation dev/ --out runs/task",
            "selfsup predict runs/task photo.jpg",
            "selfsup report runs/seen",
        )
        return
    print_next(
        "With your own text (.txt, .jsonl, .csv, .parquet, or folders of them):",
        "selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 20m",
        'selfsup fill-mask runs/mine "A sentence with a [MASK] in it."',
        "selfsup finetune sequence-classification --encoder runs/mine --train train.tsv "
        "--validation dev.tsv --out runs/task",
        'selfsup predict runs/task "A new sentence."',
        "selfsup report runs/mine",
    )


def show_explanation(result: Result) -> None:
    """The text's tokens, which were hidden and how, and where the course page is."""
    if "chosen" not in result:
        return
    chosen, count = result["chosen"], len(result["tokens"]) - 2
    print_line(f"Tokens: {' '.join(result['tokens'])}")
    print_line(
        f"Random seed {result['seed']} chooses {len(chosen)} of {count} tokens "
        f"({formatting.percent(len(chosen) / count)}; by the rule 15 %):"
    )
    print_table(
        ("Position", "Token", "What happens", "The model reads"),
        [
            (str(each["position"]), each["token"], _MASKING[each["action"]], each["reads"])
            for each in chosen
        ],
    )
    print_line(f"The model reads: {' '.join(result['reads'])}")
    print_line(f"Course page: {result['page']} ({_OF_PAGES[result['language']]})")


def show_tokenizer(result: Result) -> None:
    """The size of the vocabulary, and where it was written."""
    print_facts(result, ("vocab_size", "Vocabulary", formatting.whole), ("out", "Written to", str))
    if out := result.get("out"):
        print_next("Next:", f"selfsup prepare CORPUS --tokenizer {shlex.quote(out)} --out SHARDS")


def show_shards(result: Result) -> None:
    """What was read, kept and dropped, and where the shards are."""
    print_facts(
        result,
        ("documents", "Documents", formatting.whole),
        ("sentences", "Sentences", formatting.whole),
        ("tokens", "Tokens", formatting.whole),
        ("duplicate_documents", "Duplicate documents dropped", formatting.whole),
        ("duplicate_paragraphs", "Duplicate paragraphs dropped", formatting.whole),
        ("bad_records", "Records that could not be read", formatting.whole),
        ("out", "Written to", str),
    )
    if out := result.get("out"):
        print_next("Next:", f"selfsup pretrain {shlex.quote(out)} --encoder bert-mini --out RUN")


def show_pretraining(result: Result) -> None:
    """The held-out scores, the speed, and where the run is."""
    print_facts(
        result.get("vocabulary_extension") or {},
        ("added", "Tokens added", formatting.whole),
        ("tokens_per_word_before", "Tokens per word before", "{:.3f}".format),
        ("tokens_per_word_after", "Tokens per word after", "{:.3f}".format),
    )
    print_facts(
        result,
        ("mlm_loss", "Held-out loss", "{:.3f} nats per masked token".format),
        ("mlm_accuracy", "Masked-token accuracy", formatting.percent),
        ("nsp_accuracy", "Next-sentence accuracy", formatting.percent),
        ("inpainting_loss", "Held-out inpainting loss", "{:.3f}".format),
        ("inpainting_pixel_error", "Squared error of masked pixels", "{:.5f}".format),
        ("mean_colour_error", "Squared error of the mean colour", "{:.5f}".format),
        ("jigsaw_accuracy", "Jigsaw accuracy", _beside_chance(result.get("jigsaw_chance"))),
        ("steps", "Steps", formatting.whole),
        ("tokens", "Tokens seen", formatting.count),
        ("images", "Images seen", formatting.count),
        ("tokens_per_second", "Tokens per second", formatting.whole),
        ("images_per_second", "Images per second", formatting.whole),
        ("flops_utilization", "Share of the machine's peak", formatting.percent),
        ("seconds", "Time", formatting.duration),
        ("out", "Written to", str),
    )
    if out := result.get("out"):
        run = shlex.quote(out)
        use = [f'selfsup fill-mask {run} "A sentence with a [MASK] in it."']
        task, data = "sequence-classification", "FILE"
        if "images" in result:
            task, data = "image-classification", "FOLDER"
        if result.get("mlm_loss") is None:
            use = []
        use.append(
            f"selfsup finetune {task} --encoder {run} --train {data} --validation {data} --out RUN"
        )
        print_next("Next:", *use, f"selfsup report {run}")


def show_finetuning(result: Result) -> None:
    """Each metric, with mean and standard deviation where there are several seeds."""
    if "layers" in result:
        _show_layers(result)
        return
    _metrics(result)
    metric = result.get("selection_metric", "")
    failed = ", ".join(map(str, result.get("failed_seeds") or ()))
    print_facts(
        result | {"kept": _kept(result), "failed": failed or None},
        ("chance", f"{metric_title(metric)} by one answer for all", partial(write_metric, metric)),
        ("failed", "Seeds that failed to learn", str),
        ("kept", "Kept", str),
        ("seconds", "Time", formatting.duration),
        ("out", "Written to", str),
    )
    if out := result.get("out"):
        run = shlex.quote(out)
        given = _EXAMPLE_INPUTS.get(result.get("task", ""), '"A new sentence."')
        print_next("Next:", f"selfsup predict {run} {given}", f"selfsup report {run}")


def _kept(result: Result) -> str | None:
    """The seed and epoch whose model was kept."""
    seed, epochs = result.get("best_seed"), result.get("best_epochs")
    if seed is None or epochs is None:
        return None
    of_seed = f"seed {seed}, " if len(result["seeds"]) > 1 else ""
    return f"{of_seed}epoch {epochs[str(seed)]} of {result['epochs']}"


def show_evaluation(result: Result) -> None:
    """Each metric, the number of examples, and where the predictions are."""
    _metrics(result)
    print_facts(
        result, ("examples", "Examples", formatting.whole), ("predictions", "Predictions", str)
    )


def show_prediction(result: Result) -> None:
    """The prediction for one input with its probabilities, or a summary of those for a file."""
    answer = result.get("label", result.get("value"))
    if answer is not None:
        print_line(_number_or_text(answer))
    probabilities = result.get("probabilities") or {}
    ranked = sorted(probabilities.items(), key=lambda entry: -entry[1])
    print_table(
        ("Label", "Probability"), [(str(label), formatting.percent(p)) for label, p in ranked]
    )
    print_table(
        ("Answer", "Characters", "Probability"),
        [_answer(entry) for entry in result.get("n_best") or []],
    )
    print_facts(
        result,
        ("examples", "Examples", formatting.whole),
        ("answered", "Answered", formatting.whole),
        ("unanswered", "Without an answer", formatting.whole),
        ("out", "Written to", str),
    )
    entities = result.get("entities") or []
    if isinstance(entities, list):
        print_table(
            ("Entity", "Type", "Characters", "Probability"),
            [
                (
                    str(entity["text"]),
                    str(entity["label"]),
                    f"{entity['start']}–{entity['end']}",
                    formatting.percent(entity["probability"]),
                )
                for entity in entities
            ],
        )
        if "entities" in result and not entities:
            print_line("No entities")
    else:
        print_table(
            ("Type", "Found"), [(str(kind), formatting.whole(n)) for kind, n in entities.items()]
        )
    counts = result.get("labels", {})
    if isinstance(counts, list):  # the labels of one text; for a file, counts by label
        print_line(f"Labels: {', '.join(counts)}" if counts else "No label")
        return
    values = result.get("values") or {}
    print_table(
        (), [(f"{name.capitalize()} value", f"{value:.4g}") for name, value in values.items()]
    )
    print_table(
        ("Label", "Predicted"),
        [(str(label), formatting.whole(count)) for label, count in counts.items()],
    )


def show_filled_masks(result: Result) -> None:
    """The candidates for each [MASK] with their probabilities."""
    masks = result.get("masks") or []
    for number, mask in enumerate(masks, 1):
        print_line(f"[MASK] {number} of {len(masks)}" if len(masks) > 1 else "")
        print_table(
            ("Token", "Probability"),
            [
                (str(entry["token"]), formatting.percent(entry["probability"]))
                for entry in mask.get("candidates") or []
            ],
        )


def show_report(result: Result) -> None:
    """Where the page is."""
    print_line(f"Report: {result['report']}")


def show_diagnosis(result: Result) -> None:
    """What was looked at, what was counted, and each problem with its fix."""
    counts = (result.get("counts") or {}).items()
    print_table(
        (),
        [(name, str(result[key])) for key, name in _CHECKED if result.get(key)]
        + [(name.replace("_", " ").capitalize(), _counted(value)) for name, value in counts],
    )
    problems = result.get("problems") or []
    print_table(("Problem", "Fix"), [(p.get("what", ""), p.get("mend", "")) for p in problems])
    if not problems:
        print_line("Nothing is wrong with it.")


def _show_layers(result: Result) -> None:
    """The learning rate of each part of a model."""
    later = any((row["from_epoch"] or 1) > 1 for row in result["layers"])
    rows = []
    for row in result["layers"]:
        rate = row["learning_rate"]
        shown = "frozen" if rate is None else f"{rate:.3g}"
        shown += " (reinitialised)" if row["reinitialized"] else ""
        epoch = "" if row["from_epoch"] is None else str(row["from_epoch"])
        cells = (row["pattern"], str(row["parameters"]), formatting.whole(row["size"]), shown)
        rows.append((*cells, epoch) if later else cells)
    head = ("Pattern", "Parameters", "Size", "Learning rate")
    print_table((*head, "From epoch") if later else head, rows)
    print_line(
        f"{formatting.whole(result['learning'])} of {formatting.whole(result['size'])} "
        "parameters are trained."
    )


def _metrics(result: Result) -> None:
    scores = {name: read_score(entry) for name, entry in (result.get("metrics") or {}).items()}
    print_table(
        ("Metric", "Value"),
        [(metric_title(name), write_score(name, score)) for name, score in scores.items() if score],
    )


def _beside_chance(chance: float | None) -> Callable[[float], str]:
    """A function that formats an accuracy with that of guessing beside it."""
    by_chance = "" if chance is None else f" (chance is {formatting.percent(chance)})"
    return lambda accuracy: formatting.percent(accuracy) + by_chance


def _answer(entry: Result) -> tuple[str, str, str]:
    place = "" if entry["start"] is None else f"{entry['start']}–{entry['end']}"
    return entry["answer"] or "(no answer)", place, formatting.percent(entry["probability"])


def _candidate(entry: Result) -> str:
    return f"{entry['token']} {formatting.percent(entry['probability'])}"


def _counted(value: Any) -> str:
    """A name, a count, or several counts by name after their sum."""
    if isinstance(value, dict):
        each = "; ".join(f"{name}: {formatting.whole(count)}" for name, count in value.items())
        return f"{formatting.whole(sum(value.values()))} ({each})" if value else "0"
    return str(value) if isinstance(value, str) else formatting.whole(value)


def _number_or_text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


SHOW: dict[str, Callable[[Result], None]] = {
    "demo": show_demo,
    "explain": show_explanation,
    "train-tokenizer": show_tokenizer,
    "prepare": show_shards,
    "pretrain": show_pretraining,
    "resume": show_pretraining,
    "finetune": show_finetuning,
    "evaluate": show_evaluation,
    "predict": show_prediction,
    "fill-mask": show_filled_masks,
    "report": show_report,
    "doctor": show_diagnosis,
}
"""The function that prints a command's result, by the command's name."""
