"""From what the user named as data to shards: what is missing (tokenizer, shards) is made."""

import sys
from pathlib import Path

from tokenizers import Tokenizer

from selfsup.corpus.prepare import prepare
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.corpus.tokenizer.wordpiece import train_tokenizer
from selfsup.corpus.train_tokenizer import sample_documents
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import resolve_model_folder, tokenizer_of_model
from selfsup.errors import UserError
from selfsup.pretraining.kind import is_token_shards, of_other_kind, refuse_runs
from selfsup.pretraining.text.extend_vocabulary import check_extensible, write_extended_tokenizer
from selfsup.pretraining.text.model import TEXT_OBJECTIVES
from selfsup.settings import PretrainSettings
from selfsup.shards.folder import PROBLEMS_FILE, read_manifest
from selfsup.shards.tokens import TOKEN_SHARDS, Shards, open_shards

# Large enough for words to be whole, small enough for the output layer to cost little on a CPU.
DEFAULT_VOCAB_SIZE = 8192
_OF_RAW_TEXT = ("text_field", "text_documents", "language", "lowercase", "max_bad_fraction")
TOKENIZER, SHARDS = "tokenizer", "shards"


def check_data(settings: PretrainSettings) -> None:
    """Complain of data that is not there before anything is written.

    Raises:
        UserError: as ``pretraining_shards``, as far as it can be known without reading the text.
    """
    shards = _shards_folder(settings)
    if shards is None:
        refuse_runs(settings.data, SHARDS, "its text, cut into tokens, is", is_token_shards)
        try:
            find_inputs(settings.data)
        except UserError as error:
            raise of_other_kind(error, settings.data, "text") from None
        _check_tokenizer_for_raw_text(settings)
    elif settings.extend_vocabulary is not None:
        raise UserError(
            f"--extend-vocabulary needs raw text: that in {shards} is already cut into tokens"
        )
    else:
        _refuse_flags_of_raw_text(settings, shards)
        _check_tokenizer(settings, open_shards(shards))


def _refuse_flags_of_raw_text(settings: PretrainSettings, shards: Path) -> None:
    for name in _OF_RAW_TEXT:
        if getattr(settings, name) != getattr(PretrainSettings, name):
            raise UserError(
                f"--{name.replace('_', '-')}: is for raw text: that in {shards} is already cut "
                "into tokens"
            )


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
        # The text itself is needed no more.
        return _shards_of_this_run(settings, run)
    tokenizer_folder = _tokenizer_for_raw_text(settings, run, is_resumed)
    print(f"Preparing the text in {run / SHARDS}", file=sys.stderr)
    manifest = prepare(
        settings.data,
        tokenizer_folder,
        run / SHARDS,
        workers=settings.workers,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        language=settings.language,
        max_bad_fraction=settings.max_bad_fraction,
    )
    if bad := manifest["bad_records"]:
        print(
            f"{bad:,} records could not be read and are left out: {run / SHARDS / PROBLEMS_FILE} "
            "names them",
            file=sys.stderr,
        )
    return open_shards(run / SHARDS)


def _shards_of_this_run(settings: PretrainSettings, run: Path) -> Shards:
    """What the run made of its text before it stopped.

    Raises:
        UserError: it was made of another text than ``run.yaml`` names.
    """
    shards = open_shards(run / SHARDS)
    made_of = read_manifest(run / SHARDS, TOKEN_SHARDS)["sources"]
    if made_of != list(settings.data):
        raise UserError(
            f"{run / SHARDS}: made of {' '.join(made_of)}, but {run}/run.yaml says "
            f"{' '.join(settings.data)}: give the pretrain command again, with another --out"
        )
    return shards


def _shards_folder(settings: PretrainSettings) -> Path | None:
    """The folder of shards among the data, which must then be all of it; None for raw text."""
    folders = [Path(data) for data in settings.data if is_token_shards(Path(data))]
    if folders and len(settings.data) > 1:
        raise UserError(f"{folders[0]}: a folder of shards must be the only DATA")
    return folders[0] if folders else None


def _tokenizer_for_raw_text(settings: PretrainSettings, run: Path, is_resumed: bool) -> Path:
    if settings.tokenizer is not None:
        return Path(settings.tokenizer)
    folder = run / TOKENIZER
    is_there = is_resumed and (folder / "tokenizer.json").exists()
    if settings.init is not None:
        model = resolve_model_folder(settings.init)
        if settings.extend_vocabulary is None:
            return model
        if not is_there:
            write_extended_tokenizer(settings, model, folder)
    elif not is_there:
        print(f"Training a tokenizer in {folder}", file=sys.stderr)
        documents = sample_documents(
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


def _check_tokenizer_for_raw_text(settings: PretrainSettings) -> None:
    """Which tokenizer cuts the text must be clear, and it must be the model's own.

    Raises:
        UserError: flags that do not go together, or a tokenizer that cannot be read.
    """
    named = settings.tokenizer
    if settings.vocab_size is not None and (named is not None or settings.init is not None):
        flag = "--tokenizer" if named is not None else "--init, which brings its own"
        raise UserError(f"--vocab-size is for a new tokenizer: leave it out with {flag}")
    if not settings.lowercase and (named is not None or settings.init is not None):
        flag = "--tokenizer" if named is not None else "--init"
        raise UserError(f"--no-lowercase is for a new tokenizer: leave it out with {flag}")
    tokenizer = None if named is None else load_tokenizer(named)
    if settings.init is None:
        return
    model = resolve_model_folder(settings.init)
    own = _tokenizer_of_init(settings, model)
    if tokenizer is not None and tokenizer_sha256(tokenizer) != tokenizer_sha256(own):
        raise UserError(
            f"--tokenizer {named}: not the tokenizer of {model}: leave this flag out with --init"
        )
    if settings.extend_vocabulary is not None:
        if tokenizer is not None:
            raise UserError("--extend-vocabulary makes a tokenizer: leave out --tokenizer")
        check_extensible(own, model)


def _tokenizer_of_init(settings: PretrainSettings, model: Path) -> Tokenizer:
    """The tokenizer of the model that the run goes on from.

    Raises:
        UserError: it does not fit the model, or the model cannot learn what is asked for.
    """
    config, _ = read_config(model)
    own = tokenizer_of_model(model, config)
    if "nsp" in (settings.objectives or TEXT_OBJECTIVES) and config.type_vocab_size < 2:
        raise UserError(
            f"--init {model}: tells no two segments apart (type_vocab_size "
            f"{config.type_vocab_size}), as next sentences need: add --objectives mlm"
        )
    return own


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
    if init is not None:
        _tokenizer_of_init(settings, init)
    for flag, folder in (("--tokenizer", settings.tokenizer), ("--init", init)):
        if folder is not None and not _made(load_tokenizer(folder), shards):
            raise UserError(
                f"{flag} {folder}: not the tokenizer that made the shards in {shards.folder}: "
                f"prepare the text again with --tokenizer {folder}"
            )


def _made(tokenizer: Tokenizer, shards: Shards) -> bool:
    return tokenizer_sha256(tokenizer) == shards.manifest["tokenizer_sha256"]
