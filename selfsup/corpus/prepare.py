"""Turn raw text into token shards: read, clean, split, drop duplicates, encode, write.

This process reads the corpus and writes the shards; worker processes do the rest in between, a
block of documents at a time. Which worker did what leaves no trace in the result.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfsup.atomic_files import alone_in, write_bytes, writing_to
from selfsup.corpus.blocks import keep_first_problems, read_blocks
from selfsup.corpus.readers.documents import (
    DEFAULT_MAX_BAD_FRACTION,
    DEFAULT_TEXT_FIELD,
    BadRecordTally,
    check_max_bad_fraction,
)
from selfsup.corpus.readers.inputs import Input, find_inputs, inputs_sha256
from selfsup.corpus.readers.sources import RecordStream, TextDocuments
from selfsup.corpus.tokenizer.added_tokens import vocabulary_size
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.corpus.workers import WorkerPool, default_workers
from selfsup.corpus.writer import CorpusWriter
from selfsup.errors import UserError
from selfsup.progress import ProgressDisplay
from selfsup.shards.folder import damage_of
from selfsup.shards.tokens import FORMAT, FORMAT_VERSION, read_manifest, token_dtype
from selfsup.shards.unfinished_tokens import (
    Unfinished,
    is_intact,
    load_unfinished,
    remove_unfinished,
)

DEFAULT_SHARD_TOKENS = 1 << 26
PROBLEMS_FILE = "problems.jsonl"


def prepare(
    sources: Sequence[str],
    tokenizer_folder: str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    language: str = "auto",
    shard_tokens: int = DEFAULT_SHARD_TOKENS,
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Write token shards; go on where an interrupted call stopped; do nothing if all is there.

    The shards are the same, byte for byte, for any number of workers and interruptions.

    Args:
        sources: what to read; see ``read_documents``.
        tokenizer_folder: a tokenizer folder; a copy of it goes into the shards folder.
        out: the shards folder.
        workers: worker processes; as many as there are cores, at most 16, unless given.
        text_field: the field or column that holds the text.
        text_documents: what a document is in plain text; see ``read_documents``.
        language: ISO 639-1 code for splitting sentences; ``"auto"`` guesses it for each document.
        shard_tokens: a shard ends with the document that brings it to so many tokens.
        max_bad_fraction: the part of the records that may be unreadable; these are skipped and
            named in ``problems.jsonl``. Judged as ``BadRecordTally`` says.
        show_progress: show progress on stderr.

    Returns:
        The manifest, as in ``manifest.json``.

    Raises:
        UserError: a source, the tokenizer or a setting is wrong, too much is unreadable, there is
            no text, ``out`` holds other shards, or the disk is full. Finished shards stay.
    """
    out = Path(out)
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    if shard_tokens < 1:
        raise UserError(f"--shard-tokens {shard_tokens}: must be at least 1")
    check_max_bad_fraction(max_bad_fraction)
    tokenizer = load_tokenizer(tokenizer_folder)
    inputs = [found for found in find_inputs(sources) if not _is_inside(found, out)]
    identity = {
        "tokenizer_sha256": tokenizer_sha256(tokenizer),
        "inputs_sha256": inputs_sha256(inputs),
        "settings": {
            "text_field": text_field,
            "text_documents": text_documents,
            "language": language,
            "shard_tokens": shard_tokens,
        },
    }
    stored_bytes = sum(found.size for found in inputs)
    _refuse_other_files(out)
    with ProgressDisplay("prepare", stored_bytes, shown=show_progress) as display, alone_in(out):
        finished = _finished_manifest(out, identity, display)
        if finished:
            return finished
        # What lies there of unfinished work is ours, too.
        tokenizer_copy = out / "tokenizer"
        is_copy_ours = not tokenizer_copy.exists() or load_unfinished(out) is not None
        with writing_to(out):
            state = _state_to_go_on_from(out, identity, display)
        tally = BadRecordTally(
            max_bad_fraction,
            records=state.counts.records,
            bad=state.counts.bad_records,
            first_bad=state.first_bad,
        )
        state.save(out)
        save_tokenizer(tokenizer, tokenizer_copy)
        writer = CorpusWriter(out, state, token_dtype(vocabulary_size(tokenizer)), shard_tokens)
        stream = RecordStream(inputs, text_field, text_documents, start=state.position)
        bytes_before = state.counts.bytes_read
        with contextlib.ExitStack() as stack:
            stack.callback(writer.abandon)
            pool = stack.enter_context(WorkerPool(workers, tokenizer, language))
            blocks = read_blocks(stream, tally, out / PROBLEMS_FILE)
            try:
                for records, encoded in pool.encode(blocks):
                    writer.add(records, encoded)
                    counts = state.counts
                    rate = (counts.bytes_read - bytes_before) / display.seconds / 1e6
                    what = f"{counts.tokens / 1e6:.1f} M tokens, {rate:.1f} MB/s"
                    display.update(stream.bytes_read, what)
                writer.finish()
            except KeyboardInterrupt:
                display.say(
                    f"interrupted after {len(state.shards)} shards; the same command goes on"
                )
                raise
    if not state.shards:
        remove_unfinished(out)
        # They would make it a folder of other files for the next call.
        (out / PROBLEMS_FILE).unlink(missing_ok=True)
        if is_copy_ours:
            shutil.rmtree(tokenizer_copy)
        raise UserError(f"{', '.join(map(str, sources))}: no text in it: name another corpus")
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sources": [str(source) for source in sources],
        "vocab_size": vocabulary_size(tokenizer),
        **asdict(state.counts),
        **identity,
        "shards": state.shards,
    }
    write_bytes(out / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    remove_unfinished(out)
    return manifest


def _is_inside(found: Input, folder: Path) -> bool:
    """Whether an input is one of our own files, as when the shards lie among the texts."""
    scheme, _, path = found.url.rpartition("://")
    return scheme in ("", "file") and Path(path).resolve().is_relative_to(folder.resolve())


def _refuse_other_files(out: Path) -> None:
    """Nothing but what an earlier call wrote there may be written over.

    Raises:
        UserError: other files lie in the folder.
    """
    if not out.is_dir() or (out / "manifest.json").exists() or load_unfinished(out) is not None:
        return
    others = [
        path.name
        for path in out.iterdir()
        if not path.name.startswith(".") and not re.fullmatch(r"shard-\d+\.safetensors", path.name)
    ]
    if others:
        raise UserError(
            f"--out {out}: holds other files ({min(others)}): choose a folder for the shards alone"
        )


def _finished_manifest(
    out: Path, identity: dict[str, Any], display: ProgressDisplay
) -> dict[str, Any] | None:
    """The manifest, if all shards are there and whole; without it, they are made again.

    Raises:
        UserError: ``out`` holds shards of other inputs or settings.
    """
    if not (out / "manifest.json").exists():
        return None
    manifest = read_manifest(out)
    _refuse_other(out, manifest, identity)
    damages = [damage_of(out, entry, verify=True) for entry in manifest["shards"]]
    damage = next(filter(None, damages), None)
    if damage is None:
        display.say(f"{out} is complete: {manifest['tokens']} tokens; nothing to do")
        return manifest
    display.say(f"{damage}: making the shards again")
    (out / "manifest.json").unlink()
    return None


def _state_to_go_on_from(
    out: Path, identity: dict[str, Any], display: ProgressDisplay
) -> Unfinished:
    """What an interrupted call left, or a new beginning.

    Raises:
        UserError: ``out`` holds unfinished shards of other inputs or settings.
    """
    state = load_unfinished(out)
    if state and state.shards:
        _refuse_other(out, state.identity, identity)
        if is_intact(out, state):
            display.say(
                f"going on after {len(state.shards)} finished shards, {state.counts.tokens} tokens"
            )
            keep_first_problems(out / PROBLEMS_FILE, state.counts.bad_records)
            return state
        display.say(f"{out}: finished shards are missing or damaged, beginning again")
    remove_unfinished(out)
    (out / PROBLEMS_FILE).unlink(missing_ok=True)
    return Unfinished(identity)


def _refuse_other(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    what = {
        "inputs_sha256": "corpus files",
        "tokenizer_sha256": "tokenizer",
        "settings": "settings",
    }
    different = [words for key, words in what.items() if found.get(key) != wanted[key]]
    if different:
        raise UserError(
            f"{out}: holds shards made with other {' and '.join(different)}: "
            "choose another --out, or delete that folder"
        )
