"""From the sources that the user names to token shards: a missing tokenizer and shards are made.

``--extend-vocabulary`` makes a tokenizer too: that of a model, with tokens of the new text.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from selfsup.atomic_files import write_bytes
from selfsup.corpus.prepare import prepare
from selfsup.corpus.readers.documents import Document
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import resolve_text_documents
from selfsup.corpus.text import clean_paragraphs
from selfsup.corpus.tokenizer.extension import ExtensionReport, extend_tokenizer, pieces_of_token
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.corpus.tokenizer.training import sample_documents, train_tokenizer
from selfsup.corpus.tokenizer.unknown import UnknownCharacters
from selfsup.corpus.tokenizer.vocabulary import count_words
from selfsup.corpus.tokenizer.wordpiece import cuts_at_spaces, vocabulary_size, word_cutter
from selfsup.corpus.tokenizer.words import kind_of
from selfsup.encoder.families import text_family
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.huggingface.folder import resolve_model_folder, tokenizer_of_model
from selfsup.errors import UserError
from selfsup.pretraining.modality import (
    add_modality_hint,
    is_token_shards,
    refuse_runs,
    shards_folder,
)
from selfsup.pretraining.text.model import text_objectives
from selfsup.settings.pretrain import PretrainSettings, ResolvedPretrainSettings
from selfsup.shards.folder import PROBLEMS_FILE, read_manifest
from selfsup.shards.tokens import TOKEN_SHARDS, Shards, open_shards
from selfsup.structured_files import read_json
from selfsup.terminal import say

# Large enough to keep most words whole, small enough for a cheap output layer on a CPU.
DEFAULT_VOCAB_SIZE = 8192
_OF_RAW_TEXT = (
    "text_field", "text_documents", "language", "lowercase", "max_bad_fraction", "encoding",
    "delimiter", "header", "columns",
)  # fmt: skip
TOKENIZER, SHARDS = "tokenizer", "shards"
EXTENSION_REPORT = "vocabulary_extension.json"
# Above this share of unknown words another tokenizer is the better choice.
_MANY_UNKNOWN = 0.01


def check_data(settings: ResolvedPretrainSettings) -> None:
    """Check the data before anything is written.

    Raises:
        UserError: as ``pretraining_shards``, as far as is known without reading the text.
    """
    shards = shards_folder(settings.data, "text")
    if shards is None:
        refuse_runs(settings.data, SHARDS, "its text, cut into tokens, is", is_token_shards)
        try:
            find_inputs(settings.data)
        except UserError as error:
            raise add_modality_hint(error, settings.data, "text") from None
        _check_tokenizer_for_raw_text(settings)
    elif settings.extend_vocabulary is not None:
        raise UserError(
            f"--extend-vocabulary needs raw text: that in {shards} is already cut into tokens"
        )
    else:
        for name in _OF_RAW_TEXT:
            if getattr(settings, name) != getattr(PretrainSettings, name):
                raise UserError(
                    f"--{name.replace('_', '-')}: is for raw text: that in {shards} is already "
                    "cut into tokens"
                )
        _check_tokenizer(settings, open_shards(shards))


def pretraining_shards(settings: ResolvedPretrainSettings, run: Path, is_resumed: bool) -> Shards:
    """Open the shards that the settings name, or make them in the run's folder.

    Arguments are those of ``Pretraining``.

    Raises:
        UserError: the data, or the tokenizer for it, is missing, damaged or does not fit.
    """
    given = shards_folder(settings.data, "text")
    if given is not None:
        shards = open_shards(given, verify=True)
        _check_tokenizer(settings, shards)
        if note := UnknownCharacters.of_manifest(shards.manifest).note():
            say(f"{given}: {note}")
        return shards
    folder = run / SHARDS
    if is_resumed and (folder / "manifest.json").exists():
        shards = open_shards(folder, verify=True)  # the text itself is not needed any more
        made_of = read_manifest(folder, TOKEN_SHARDS)["sources"]
        if made_of != list(settings.data):
            raise UserError(
                f"{folder}: made of {' '.join(made_of)}, but {run}/run.yaml says "
                f"{' '.join(settings.data)}: give the pretrain command again, with another --out"
            )
        return shards
    tokenizer_folder = _tokenizer_for_raw_text(settings, run, is_resumed)
    say(f"Preparing the text in {folder}")
    manifest = prepare(
        settings.data,
        tokenizer_folder,
        folder,
        workers=settings.workers,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        language=settings.language,
        max_bad_fraction=settings.max_bad_fraction,
        file_format=settings.file_format,
    )
    if bad := manifest["bad_records"]:
        say(
            f"records that could not be read and are left out: {bad:,}: {folder / PROBLEMS_FILE} "
            "names them"
        )
    return open_shards(folder)


_DIVISION = {
    "file": "each .txt file is one document; --text-documents blank-line or line divides it",
    "blank-line": (
        "blank lines divide a .txt file into documents; --text-documents line or file takes each "
        "line or each file as one"
    ),
    "line": "each line of a .txt file is one document; --text-documents blank-line joins lines",
}


def advice_on_documents(settings: ResolvedPretrainSettings) -> str:
    """What divides the text of the settings into documents, and which flag changes it."""
    if shards_folder(settings.data, "text") is not None:
        return "selfsup prepare divides text into documents, as its --text-documents says"
    inputs = find_inputs(settings.data)
    if not any(found.suffix == ".txt" for found in inputs):
        return "each record is one document"
    return _DIVISION[resolve_text_documents(inputs, settings.text_documents)]


def _tokenizer_for_raw_text(
    settings: ResolvedPretrainSettings, run: Path, is_resumed: bool
) -> Path:
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
        say(f"Training a tokenizer in {folder}")
        tokenizer = train_tokenizer(
            (document.text for document in _sample(settings)),
            vocab_size=settings.vocab_size or DEFAULT_VOCAB_SIZE,
            lowercase=settings.lowercase,
            allow_fewer=settings.vocab_size is None,
        )
        save_tokenizer(tokenizer, folder)
    return folder


def _sample(settings: ResolvedPretrainSettings) -> Iterator[Document]:
    """Documents of the raw text, enough to make a tokenizer of."""
    return sample_documents(
        settings.data,
        text_field=settings.text_field,
        text_documents=settings.text_documents,  # pyright: ignore[reportArgumentType]
        max_bad_fraction=settings.max_bad_fraction,
        file_format=settings.file_format,
    )


def _check_tokenizer_for_raw_text(settings: ResolvedPretrainSettings) -> None:
    """Check that the flags agree on a tokenizer, which must be the model's own with --init."""
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
        _check_extensible(own, model)


def _tokenizer_of_init(settings: ResolvedPretrainSettings, model: Path) -> Tokenizer:
    """The tokenizer of the model of --init, if the model can learn the objectives."""
    config, _ = read_config(model)
    own = tokenizer_of_model(model, config)
    kind_of(own)  # raises where it is not known which tokens begin a word
    family = text_family(config)
    for objective in text_objectives(settings.objectives):
        if objective.reads_pooler and not family.pooler:
            raise UserError(
                f"--init {model}: is a {family.name}, which has no head for {objective.name}: add "
                "--objectives mlm"
            )
        if objective.segments > config.type_vocab_size:
            raise UserError(
                f"--init {model}: tells no two segments apart (type_vocab_size "
                f"{config.type_vocab_size}), as {objective.name} needs: add --objectives mlm"
            )
    return own


def _check_tokenizer(settings: ResolvedPretrainSettings, shards: Shards) -> None:
    """Check that the tokenizer beside the shards, and those that flags name, made the shards."""
    if settings.vocab_size is not None and settings.vocab_size != shards.vocab_size:
        raise UserError(
            f"--vocab-size {settings.vocab_size}: the shards in {shards.folder} have "
            f"{shards.vocab_size} tokens: leave the flag out, or prepare the text again"
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
    is_same = tokenizer_sha256(tokenizer) == shards.manifest["tokenizer_sha256"]
    return is_same and vocabulary_size(tokenizer) == shards.vocab_size


def write_extended_tokenizer(settings: ResolvedPretrainSettings, model: Path, folder: Path) -> None:
    """Add the tokens that shorten the text most to a model's tokenizer, and print the effect.

    Args:
        settings: name the text, and how many tokens to add.
        model: the model's folder.
        folder: where the tokenizer and the report, ``vocabulary_extension.json``, are written.

    Raises:
        UserError: the tokenizer cannot be extended, or the text cannot be read.
    """
    wanted = settings.extend_vocabulary
    assert wanted is not None
    tokenizer = load_tokenizer(model)
    _check_extensible(tokenizer, model)
    say(f"Looking for tokens that shorten the text, for {folder}")
    paragraphs = (
        line for document in _sample(settings) for line in clean_paragraphs(document.text)
    )
    word_counts = count_words(paragraphs, word_cutter(tokenizer))
    if not word_counts:
        raise UserError("the corpus holds no text: name another corpus")
    extended, report = extend_tokenizer(tokenizer, word_counts, wanted)
    say(_effect_of_extension(report, wanted))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(report), allow_nan=False) + "\n"
    write_bytes(folder / EXTENSION_REPORT, text.encode())
    save_tokenizer(extended, folder)


def read_extension_report(folder: Path) -> dict[str, Any] | None:
    """The report beside an extended tokenizer; None if there is none."""
    path = folder / EXTENSION_REPORT
    return read_json(path, dict[str, float]) if path.exists() else None


def new_tokens(old: Tokenizer, new: Tokenizer) -> dict[int, list[int]]:
    """The ids of tokens that only the new tokenizer has, and the ids of their old pieces."""
    known = old.get_vocab()
    return {
        number: pieces_of_token(old, token)
        for token, number in sorted(new.get_vocab().items(), key=lambda entry: entry[1])
        if token not in known
    }


def _check_extensible(tokenizer: Tokenizer, model: Path) -> None:
    """Refuse a tokenizer that does not split text into words by BERT's rules."""
    if not cuts_at_spaces(json.loads(tokenizer.to_str())):
        raise UserError(
            f"--extend-vocabulary: the tokenizer of {model} is not WordPiece with BERT's rules: "
            "leave this flag out"
        )


def _effect_of_extension(report: ExtensionReport, wanted: int) -> str:
    fewer = f" (no more would shorten this text, of {wanted:,})" if report.added < wanted else ""
    effect = (
        f"Added {report.added:,} tokens{fewer}: {report.tokens_per_word_before:.3f} tokens a word "
        f"before, {report.tokens_per_word_after:.3f} after"
    )
    if report.unknown_words > _MANY_UNKNOWN:
        effect += (
            f"; {report.unknown_words:.1%} of the words hold characters that this vocabulary "
            "lacks and stay [UNK]: a model with a tokenizer of its own may do better here"
        )
    return effect
