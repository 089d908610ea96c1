"""Write a report: one HTML file that needs no network and no other file."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING, fields
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from selfsup import __version__
from selfsup.atomic_files import write_bytes, writing_to
from selfsup.errors import UserError
from selfsup.report import formatting
from selfsup.report.comparison import comparison_sections, distinct_names
from selfsup.report.demo import demo_sections
from selfsup.report.finetuning import finetuning_sections
from selfsup.report.markup import paragraph, section
from selfsup.report.pretraining import pretraining_sections
from selfsup.report.verdict import failures
from selfsup.runs.reading import Run, check_kind, read_run
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.labelled_data import unused_flags
from selfsup.settings.objectives import IMAGE_OBJECTIVES
from selfsup.settings.pretrain import FLAGS_FOR_IMAGES, FLAGS_FOR_TEXT, PretrainSettings
from selfsup.settings.showing import DemoSettings

# Identifies a report: no other page begins with exactly this.
_BEGIN = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
# Of each kind of run: what the page calls it, its sections, and its settings.
_KINDS: dict[str, tuple[str, Callable[[Run], str], Any]] = {
    "pretrain": ("Pre-training", pretraining_sections, PretrainSettings),
    "finetune": ("Fine-tuning", finetuning_sections, FinetuneSettings),
    "demo": ("Demo", demo_sections, DemoSettings),
}


def write_report(runs: Sequence[str | Path], out: str | Path | None = None) -> dict[str, Any]:
    """Write the page about one or more runs.

    Args:
        runs: their folders.
        out: the file; if None, `report.html` in the run's folder, or `comparison.html` in the
            folder that contains all of several runs.

    Returns:
        {"report": path, "runs": [path, …]}.

    Raises:
        UserError: a folder is not a run or does not name its command, the file cannot be written
            or is not a report, or `out` is None and the runs are not in one folder.
    """
    read = [read_run(run) for run in runs]
    for run in read:
        check_kind(run)
    file = Path(out) if out is not None else _default_file(read)
    if file.is_dir():
        raise UserError(f"--out {file} is a folder: name a file, such as {file / 'report.html'}")
    if file.is_file() and file.read_bytes()[: len(_BEGIN)] not in (b"", _BEGIN.encode()):
        raise UserError(
            f"--out {file} is there already and is no report: name another file, or delete it"
        )
    with writing_to(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, page(read).encode(), named_by_user=out is not None)
    return {"report": str(file), "runs": [str(run.folder) for run in read]}


def _default_file(runs: Sequence[Run]) -> Path:
    if len(runs) == 1:
        return runs[0].folder / "report.html"
    if len({run.folder.resolve().parent for run in runs}) > 1:
        raise UserError("these runs are not in one folder: say where to write, --out FILE.html")
    return runs[0].folder.parent / "comparison.html"


def page(runs: Sequence[Run]) -> str:
    """The page's HTML."""
    if len(runs) == 1:
        (run,) = runs
        what, sections, settings = _KINDS[run.kind]
        title, notes = run.name, "".join(paragraph(note, "note") for note in run.notes)
        body = _subtitle(run) + notes + sections(run) + _settings(run, settings)
    else:
        names = distinct_names(runs)
        title, what = ", ".join(names), "Comparison"
        notes = "".join(
            paragraph(f"{name}: {note}", "note")
            for name, run in zip(names, runs, strict=True)
            for note in (*run.notes, failures(run.summary))
            if note
        )
        body = notes + comparison_sections(list(runs))
    style, script = (
        resources.files("selfsup.report").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "hover.js")
    )
    return (
        f'{_BEGIN}content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · selfsup</title><style>{style}</style></head><body><main>"
        f'<header><p class="what">{what}</p><h1>{escape(title)}</h1></header>{body}'
        f"<footer>selfsup {__version__}</footer></main><script>{script}</script></body></html>\n"
    )


def _subtitle(run: Run) -> str:
    shown = map(run.settings.get, ("task", "encoder", "objectives"))
    parts = [formatting.setting(value) for value in shown if value]
    if data := run.settings.get("data") or run.settings.get("train"):
        parts.append(f"on {formatting.setting(data)}")
    return paragraph(" · ".join(parts), "subtitle")


def _settings(run: Run, kind: Any) -> str:
    """All that have an effect on the run; those that are ``kind``'s defaults are folded away."""
    if not run.settings:
        return ""
    defaults = {field.name: field.default for field in fields(kind)}
    unused = _unused_settings(run)
    chosen, left = "", []
    for key, value in run.settings.items():
        if key in unused:
            continue
        item = f"<div><dt>{escape(key)}</dt><dd>{escape(formatting.setting(value))}</dd></div>"
        if (tuple(value) if isinstance(value, list) else value) == defaults.get(key, MISSING):
            left.append(item)
        else:
            chosen += item
    about = "Given, or chosen to suit the data and the encoder. run.yaml contains all settings."
    folded = (
        f"<details><summary>{len(left)} left at their default</summary>"
        f'<dl class="settings">{"".join(left)}</dl></details>'
    )
    return section(
        "Settings",
        paragraph(about),
        f'<dl class="settings">{chosen}</dl>',
        folded if left else "",
    )


def _unused_settings(run: Run) -> Collection[str]:
    """The settings for other data or other tasks, which have no effect on this run."""
    if run.kind == "finetune":
        return unused_flags(run.settings.get("task", ""))
    if run.kind == "pretrain":
        on_images = set(run.settings.get("objectives") or ()) & set(IMAGE_OBJECTIVES)
        return FLAGS_FOR_TEXT if on_images else FLAGS_FOR_IMAGES
    return ()
