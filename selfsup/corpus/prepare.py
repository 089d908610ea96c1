"""Turn raw text into token shards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import sentencex

from selfsup.corpus.atomic_files import write_bytes, writing_to
from selfsup.corpus.shard_writer import ShardWriter, token_dtype
from selfsup.corpus.shards import FORMAT, FORMAT_VERSION
from selfsup.corpus.sources import read_documents
from selfsup.corpus.wordpiece import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.errors import UserError


def prepare(
    sources: list[str],
    tokenizer_folder: str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    text_field: str = "text",
    language: str = "en",
) -> dict[str, Any]:
    """Write token shards (first version: one process, no duplicates dropped)."""
    out = Path(out)
    tokenizer = load_tokenizer(tokenizer_folder)
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, out / "tokenizer")
    vocab_size = tokenizer.get_vocab_size()
    writer = ShardWriter(out / "shard-00000.safetensors", token_dtype(vocab_size))
    for document in read_documents(sources, text_field=text_field):
        sentences = [
            sentence
            for paragraph in document.text.splitlines()
            for sentence in sentencex.segment(language, paragraph)
        ]
        ids = [e.ids for e in tokenizer.encode_batch_fast(sentences, add_special_tokens=False)]
        ids = [sentence for sentence in ids if sentence]
        if ids:
            writer.add(
                np.concatenate([np.asarray(sentence, writer.dtype) for sentence in ids]),
                np.array([len(sentence) for sentence in ids]),
                np.array([len(ids)]),
            )
    entry = writer.finish()
    if not entry["documents"]:
        raise UserError(f"{', '.join(sources)}: no text in it: name another corpus")
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "vocab_size": vocab_size,
        "tokenizer_sha256": tokenizer_sha256(tokenizer),
        "tokens": entry["tokens"],
        "sentences": entry["sentences"],
        "documents": entry["documents"],
        "shards": [entry],
    }
    write_bytes(out / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    return manifest
