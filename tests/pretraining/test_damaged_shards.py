"""Shards that are damaged before or during pre-training: one line, status 2."""

from collections.abc import Callable
from pathlib import Path

import pytest

from selfsup import cli
from selfsup.doctor import doctor
from selfsup.pretraining.run import PretrainingLog
from selfsup.settings.showing import DoctorSettings
from tests.pretraining.images.toy_pictures import write_toy_pictures
from tests.toy_corpus import write_toy_corpus

QUICK = (
    "--steps", "3", "--batch-size", "4", "--device", "cpu", "--precision", "float32", "--threads",
    "1", "--workers", "1",
)  # fmt: skip
TINY = {
    "text": ("--encoder", "bert-tiny", "--max-length", "32", "--start", "random"),
    "images": ("--encoder", "vit-mini", "--image-size", "16", "--patch-size", "4"),
}
SHARDS = {"text": "shards", "images": "images"}
PREPARE_AGAIN = {"text": "run prepare again", "images": "read the images again"}


@pytest.fixture(params=["text", "images"])
def modality(request) -> str:
    return request.param


@pytest.fixture
def pretrain(modality, capsys) -> Callable[..., tuple[int, str]]:
    def run(data: Path, out: Path, *more: str) -> tuple[int, str]:
        capsys.readouterr()
        words = ["pretrain", str(data), "--out", str(out), *TINY[modality], *QUICK, *more]
        return cli.main(words), capsys.readouterr().err

    return run


@pytest.fixture
def run(modality, tmp_path, pretrain) -> Path:
    """A run that has ended, on data that it prepared itself."""
    data = tmp_path / "data"
    data.mkdir()
    if modality == "text":
        write_toy_corpus(data / "texts.txt")
    else:
        write_toy_pictures(data, 8)
    assert pretrain(data, tmp_path / "first")[0] == 0
    return tmp_path / "first"


def only_error(said: str) -> str:
    *before, line = said.splitlines()
    assert line.startswith("selfsup: error: ")
    assert not any("rror" in other for other in before)
    return line


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_an_altered_shard_is_refused_before_the_first_step(modality, run, pretrain, tmp_path):
    shards = run / SHARDS[modality]
    alter(shards / "shard-00000.safetensors")
    status, said = pretrain(shards, tmp_path / "second")
    assert status == 2
    line = only_error(said)
    assert "shard-00000.safetensors: its checksum is not the manifest's" in line
    assert PREPARE_AGAIN[modality] in line
    assert not (tmp_path / "second" / "metrics.jsonl").exists()


def test_a_run_is_not_resumed_on_altered_shards(modality, run, pretrain, tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PretrainingLog, "_is_time_to_evaluate", stop)
        second = tmp_path / "second"
        assert pretrain(tmp_path / "data", second, "--checkpoint-every", "1")[0] == 130
    alter(second / SHARDS[modality] / "shard-00000.safetensors")
    assert cli.main(["resume", str(second)]) == 2


def test_a_shard_that_is_cut_short_during_training_ends_the_run_in_one_line(
    modality, run, pretrain, tmp_path, monkeypatch
):
    shard = run / SHARDS[modality] / "shard-00000.safetensors"
    show = PretrainingLog._show

    def cut_then_show(self: PretrainingLog, *arguments: object) -> None:
        with shard.open("r+b") as file:
            file.truncate(4096 if modality == "images" else 1000)
        show(self, *arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(PretrainingLog, "_show", cut_then_show)
    status, said = pretrain(shard.parent, tmp_path / "second")
    assert status == 2
    assert "shard-00000.safetensors: was cut short while it was in use" in only_error(said)


def test_the_doctor_names_an_altered_shard_of_a_run(run, modality):
    if modality == "images":
        alter(run / "images" / "shard-00000.safetensors")
        problems = doctor(DoctorSettings(path=str(run / "images")))["problems"]
    else:
        alter(run / "shards" / "shard-00000.safetensors")
        problems = doctor(DoctorSettings(path=str(run)))["problems"]
    assert any("shard-00000.safetensors: its checksum" in problem["what"] for problem in problems)
