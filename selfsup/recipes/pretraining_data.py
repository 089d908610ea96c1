"""From what the user named as data to shards: what is missing (tokenizer, shards) is made."""

import sys
from pathlib import Path

from tokenizers import Tokenizer

from selfsup.corpus.prepare import prepare
from selfsup.corpus.shards import Shards, open_shards
from selfsup.corpus.sources import find_inputs, read_documents
from selfsup.corpus.unfinished import PROGRESS_FILE
from selfsup.corpus.wordpiece import (
    load_tokenizer,
    save_tokenizer,
    tokenizer_sha256,
    train_tokenizer,
)
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.errors import UserError
from selfsup.settings import PretrainSettings

# Large enough for words to be whole, small enough for the output layer to cost little on a CPU.
DEFAULT_VOCAB_SIZE = 8192
TOKENIZER, SHARDS = "tokenizer", "shards"


def check_data(settings: PretrainSettings) -> None:
    """Complain of data that is not there before anything is written.

    Raises:
        UserError: as ``pretraining_shards``, as far as it can be known without reading the text.
    """
    shards = _shards_folder(settings)
    if shards is None:
        find_inputs(settings.data)
        if settings.tokenizer is not None:
            load_tokenizer(settings.tokenizer)
    else:
        _check_tokenizer(settings, open_shards(shards))


def pretraining_shards(settings: PretrainSettings, run: Path, is_resumed: bool) -> Shards:
    """Open the shards that the settings name, or make them in the run's folder.

    Args:
        settings: name the data, and how to read it.
        run: the run's folder.
        is_resumed: whether what lies in that folder was made under these same settings.

    Raises:
        UserError: the data, or the tokenizer for it, is missing, damaged or does not fit.
    """
    folder = _shards_folder(settings)
    if folder is not None:
        shards = open_shards(folder)
        _check_tokenizer(settings, shards)
        return shards
    if is_resumed and (run / SHARDS / "manifest.json").exists():
        return open_shards(run / SHARDS)  # the text itself is needed no more
    tokenizer_folder = _tokenizer_for_raw_text(settings, run, is_resumed)
    print(f"Preparing the text in {run / SHARDS}", file=sys.stderr)
    prepare(
        settings.data,
        tokenizer_folder,
        run / SHARDS,
        workers=settings.workers,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        language=settings.language,
        max_bad_fraction=settings.max_bad_fraction,
    )
    return open_shards(run / SHARDS)


def _shards_folder(settings: PretrainSettings) -> Path | None:
    """The folder of shards among the data, which must then be all of it; None for raw text."""
    folders = [Path(data) for data in settings.data if _holds_shards(Path(data))]
    if folders and len(settings.data) > 1:
        raise UserError(f"{folders[0]}: a folder of shards must be the only DATA")
    return folders[0] if folders else None


def _holds_shards(folder: Path) -> bool:
    """Whether ``prepare`` wrote there, even if it has not come to its end."""
    return any((folder / name).exists() for name in ("manifest.json", PROGRESS_FILE))


def _tokenizer_for_raw_text(settings: PretrainSettings, run: Path, is_resumed: bool) -> Path:
    if settings.tokenizer is not None:
        if settings.vocab_size is not None:
            raise UserError("--vocab-size is for a new tokenizer: leave it out with --tokenizer")
        return Path(settings.tokenizer)
    if settings.init is not None:
        return resolve_model_folder(settings.init)
    folder = run / TOKENIZER
    if not (is_resumed and (folder / "tokenizer.json").exists()):
        print(f"Training a tokenizer in {folder}", file=sys.stderr)
        documents = read_documents(
            settings.data,
            text_field=settings.text_field,
            text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
            max_bad_fraction=settings.max_bad_fraction,
        )
        tokenizer = train_tokenizer(
            (document.text for document in documents),
            vocab_size=settings.vocab_size or DEFAULT_VOCAB_SIZE,
            lowercase=settings.lowercase,
            allow_fewer=settings.vocab_size is None,
        )
        save_tokenizer(tokenizer, folder)
    return folder


def _check_tokenizer(settings: PretrainSettings, shards: Shards) -> None:
    """The tokenizer beside the shards must be theirs, and so must be those that the flags name.

    Raises:
        UserError: one is another.
    """
    if settings.vocab_size is not None and settings.vocab_size != shards.vocab_size:
        raise UserError(
            f"--vocab-size {settings.vocab_size}: the shards in {shards.folder} have "
            f"{shards.vocab_size} tokens: leave the flag out, or prepare the text anew"
        )
    if not _made(load_tokenizer(shards.tokenizer_folder), shards):
        raise UserError(
            f"{shards.tokenizer_folder}: not the tokenizer that made the shards beside it (was it "
            "replaced?): prepare the text again into another folder"
        )
    init = None if settings.init is None else resolve_model_folder(settings.init)
    for flag, folder in (("--tokenizer", settings.tokenizer), ("--init", init)):
        if folder is not None and not _made(load_tokenizer(folder), shards):
            raise UserError(
                f"{flag} {folder}: not the tokenizer that made the shards in {shards.folder}: "
                f"prepare the text again with --tokenizer {folder}"
            )


def _made(tokenizer: Tokenizer, shards: Shards) -> bool:
    return tokenizer_sha256(tokenizer) == shards.manifest["tokenizer_sha256"]
