import inspect
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from selfsup.errors import UserError
from selfsup.shards.folder import damage_of, first_damage
from selfsup.shards.tokens import Counts, ShardWriter, open_shards, token_dtype

DOCUMENTS = st.lists(
    st.lists(st.lists(st.integers(0, 60_000), min_size=1, max_size=5), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)


def write_shards(folder, documents: list[list[list[int]]], vocab_size: int = 60_001) -> None:
    folder.mkdir(exist_ok=True)
    writer = ShardWriter(folder / "shard-00000.safetensors", token_dtype(vocab_size))
    for document in documents:
        writer.add(
            np.array([token for sentence in document for token in sentence], writer.dtype),
            np.array([len(sentence) for sentence in document]),
            np.array([len(document)]),
        )
    entry = writer.finish()
    manifest = {
        "format": "selfsup-shards",
        "format_version": 1,
        "vocab_size": vocab_size,
        "sources": [],
        "tokenizer_sha256": "",
        **dict.fromkeys(inspect.get_annotations(Counts), 0),
        **{name: entry[name] for name in ("tokens", "sentences", "documents")},
        "shards": [entry],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def read_back(folder) -> list[list[list[int]]]:
    (shard,) = open_shards(folder).shards
    return [
        [
            shard.tokens[slice(*shard.sentence_offsets[s : s + 2])].tolist()
            for s in range(*shard.document_offsets[d : d + 2])
        ]
        for d in range(len(shard.document_offsets) - 1)
    ]


@given(DOCUMENTS, st.sampled_from([60_001, 70_000]))
@settings(max_examples=30)
def test_documents_come_back_as_they_were_written(tmp_path_factory, documents, vocab_size):
    folder = tmp_path_factory.getbasetemp() / "token-round-trip"
    write_shards(folder, documents, vocab_size)
    assert read_back(folder) == documents
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "shard-00000.safetensors",
    ]


def test_ids_take_two_bytes_where_the_vocabulary_fits(tmp_path):
    assert token_dtype(65_536) == np.uint16
    assert token_dtype(65_537) == np.uint32
    write_shards(tmp_path / "large", [[[70_000]]], vocab_size=70_001)
    assert open_shards(tmp_path / "large").shards[0].tokens.dtype == np.uint32


def test_a_shard_is_a_safetensors_file_that_the_library_reads(tmp_path):
    write_shards(tmp_path, [[[1, 2, 3], [4]], [[5]]])
    tensors = load_file(tmp_path / "shard-00000.safetensors")
    assert tensors["tokens"].tolist() == [1, 2, 3, 4, 5]
    assert tensors["sentence_offsets"].tolist() == [0, 3, 4, 5]
    assert tensors["document_offsets"].tolist() == [0, 2, 3]
    assert {name: array.dtype.str for name, array in tensors.items()} == {
        "tokens": "<u2",
        "sentence_offsets": "<i8",
        "document_offsets": "<i8",
    }


def test_what_is_read_of_shards_cannot_be_written_to(tmp_path):
    write_shards(tmp_path, [[[1, 2, 3]]])
    (shard,) = open_shards(tmp_path).shards
    for array in (shard.tokens[:], shard.sentence_offsets, shard.document_offsets):
        assert not array.flags.writeable


def test_a_shard_cut_short_is_named_with_the_fix(tmp_path):
    write_shards(tmp_path, [[[1, 2, 3]]] * 100)
    path = tmp_path / "shard-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"shard-00000\.safetensors: \d+ bytes.*run prepare again"):
        open_shards(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"shard-00000\.safetensors: missing"):
        open_shards(tmp_path)


def test_an_altered_shard_is_found_when_asked_to_look(tmp_path):
    write_shards(tmp_path, [[[1, 2, 3]]])
    path = tmp_path / "shard-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (entry,) = open_shards(tmp_path).manifest["shards"]
    assert damage_of(tmp_path, entry, verify=False) is None
    damage = damage_of(tmp_path, entry, verify=True)
    assert damage is not None
    assert "checksum" in damage
    assert first_damage(tmp_path, [entry]) == damage


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "not a manifest of token shards"),
        ('{"format": "selfsup-shards", "format_version": 99}', "format version 99"),
    ],
)
def test_a_foreign_manifest_is_refused(tmp_path, manifest, message):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match=message):
        open_shards(tmp_path)


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        open_shards(tmp_path / "missing")
    with pytest.raises(UserError, match="holds no token shards"):
        open_shards(tmp_path)
    (tmp_path / "progress.json").write_text("{}")
    with pytest.raises(UserError, match="interrupted"):
        open_shards(tmp_path)


@pytest.mark.parametrize(
    "damage", [b"\0" * 100, b"\xff" * 100, b"\x10" + b"\0" * 7 + b'{"a": 1}' * 2]
)
def test_a_shard_whose_beginning_is_overwritten_is_damaged(tmp_path, damage):
    write_shards(tmp_path, [[[1, 2, 3]] * 20])
    path = tmp_path / "shard-00000.safetensors"
    path.write_bytes(damage + path.read_bytes()[len(damage) :])
    with pytest.raises(UserError, match=r"shard-00000\.safetensors: damaged"):
        open_shards(tmp_path)
