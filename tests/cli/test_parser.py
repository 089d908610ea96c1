"""From the command line, and from YAML, to a settings dataclass."""

import dataclasses
import io
import sys
import typing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selfsup.cli import COMMANDS
from selfsup.cli.parser import parse_command
from selfsup.errors import UserError
from selfsup.settings.corpus import TrainTokenizerSettings
from selfsup.settings.inference import EvaluateSettings, FillMaskSettings, PredictSettings
from selfsup.settings.pretrain import PretrainSettings
from selfsup.settings.showing import DemoSettings, ReportSettings
from selfsup.settings.yaml_file import from_yaml, to_yaml

ALL_SETTINGS = [command.settings for command in COMMANDS.values()]


def pretrain(*arguments: str) -> PretrainSettings:
    return parse_command("pretrain", PretrainSettings, list(arguments))[0]


def refusal(*arguments: str) -> str:
    with pytest.raises(UserError) as refused:
        pretrain(*arguments)
    return str(refused.value)


def test_what_is_not_given_has_the_default_of_the_dataclass():
    assert pretrain("texts", "--out", "run") == PretrainSettings(data=("texts",), out="run")


def test_flags_are_the_fields_with_dashes_and_take_the_fields_types():
    chosen = pretrain(
        "a", "b", "--out", "run", "--max-length", "64", "--learning-rate", "1e-3", "--steps", "7",
        "--masking", "whole-word", "--init", "model",
    )  # fmt: skip
    expected = PretrainSettings(
        data=("a", "b"), out="run", max_length=64, learning_rate=0.001, steps=7,
        masking="whole-word", init="model",
    )  # fmt: skip
    assert chosen == expected


def test_a_flag_may_take_several_values():
    assert pretrain("a", "--objectives", "mlm", "--out", "run").objectives == ("mlm",)
    assert pretrain("a", "--objectives", "nsp", "mlm", "--out", "r").objectives == ("nsp", "mlm")


@pytest.mark.parametrize(("flag", "value"), [("--lowercase", True), ("--no-lowercase", False)])
def test_a_yes_or_no_has_a_flag_for_each(flag: str, value: bool):
    arguments = ["texts", "--out", "tokenizer", flag]
    assert parse_command("train-tokenizer", TrainTokenizerSettings, arguments)[0].lowercase is value


@pytest.mark.parametrize(
    "arguments",
    [
        ["model", "a text", "--top", "3"],
        ["model", "--top", "3", "a text"],
        ["--top", "3", "model", "a text"],
        ["--top=3", "model", "--", "a text"],
        ["--device", "auto", "model", "--top", "3", "a text"],
    ],
)
def test_what_has_its_place_may_stand_among_the_flags(arguments: list[str]):
    chosen = parse_command("fill-mask", FillMaskSettings, arguments)[0]
    assert chosen == FillMaskSettings(model="model", text="a text", top=3)


def test_negative_numbers_and_texts_with_a_dash_are_no_flags():
    chosen = parse_command(
        "predict", PredictSettings,
        ["model", "--question", "- why?", "--null-threshold", "-1e-3", "--", "--odd"],
    )[0]  # fmt: skip
    assert (chosen.question, chosen.null_threshold, chosen.text) == ("- why?", -1e-3, "--odd")


def test_json_is_asked_for_beside_the_settings_and_is_none_of_them():
    chosen, as_json = parse_command("report", ReportSettings, ["run", "--json"])
    assert as_json
    assert chosen == ReportSettings(runs=("run",))
    assert not parse_command("report", ReportSettings, ["run"])[1]


def test_yaml_gives_settings_and_a_flag_beside_it_wins(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("data: [a]\nout: run\nmax_length: 32\nseed: 5\n")
    chosen = pretrain("--config", str(file), "--seed", "6")
    assert chosen == PretrainSettings(data=("a",), out="run", max_length=32, seed=6)


def test_yaml_may_name_the_command_that_it_is_for(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("command: pretrain\ndata: [a]\nout: run\n")
    expected = PretrainSettings(data=("a",), out="run")
    assert pretrain("--config", str(file)) == expected
    assert from_yaml(PretrainSettings, file, "pretrain") == expected
    file.write_text("command: finetune\ndata: [a]\nout: run\n")
    assert refusal("--config", str(file)) == (
        f"{file}: these are settings of `selfsup finetune`, not of `selfsup pretrain`"
    )


def test_yaml_also_gives_what_stands_without_a_flag(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text("data: images\nout: runs/images\n")
    chosen, _ = parse_command("demo", DemoSettings, ["--config", str(file)])
    assert chosen == DemoSettings(data="images", out="runs/images")
    chosen, _ = parse_command("demo", DemoSettings, ["text", "--config", str(file)])
    assert chosen.data == "text"
    file.write_text("seed: 1\ndata: [a]\nout: r\n")
    assert pretrain("--seed", "2", "--config", str(file)).seed == 2
    assert pretrain("b", "--out", "s", f"--config={file}").data == ("b",)
    file.write_text("model: m\ndata: d\n")
    chosen, _ = parse_command("evaluate", EvaluateSettings, ["--config", str(file)])
    assert (chosen.model, chosen.data) == ("m", "d")


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "ascii"])
def test_print_config_prints_yaml_that_config_reads(tmp_path: Path, monkeypatch, encoding: str):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    with pytest.raises(SystemExit) as end:
        pretrain("말뭉치–1", "--out", "run", "--learning-rate", "1e-5", "--print-config")
    assert end.value.code == 0
    file = tmp_path / "run.yaml"
    file.write_bytes(written.getvalue())
    expected = pretrain("말뭉치–1", "--out", "run", "--learning-rate=1e-5")
    assert pretrain("--config", str(file)) == expected


def test_print_config_needs_no_more_than_there_is(capsys):
    with pytest.raises(SystemExit):
        pretrain("--max-length", "64", "--print_config")  # its older name
    printed = capsys.readouterr().out
    assert "max_length: 64\n" in printed
    assert "\nout:" not in printed


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@example(data=("1e5",), out="0E0", objectives=("mlm",), max_length=16, learning_rate=None,
         lowercase=True, text_field=".5", budget=None)  # fmt: skip
@given(
    data=st.lists(texts, min_size=1).map(tuple),
    out=texts,
    objectives=st.none()
    | st.lists(st.sampled_from(["mlm", "nsp"]), min_size=1, max_size=2).map(tuple),
    max_length=st.integers(16, 512),
    learning_rate=st.none() | st.floats(1e-12, 10),
    lowercase=st.booleans(),
    text_field=texts,
    budget=st.sampled_from([None, "90s", "1h30m", "20m"]),
)
def test_settings_written_as_yaml_are_read_back_equal(tmp_path_factory, **values):
    chosen = PretrainSettings(**values)
    file = tmp_path_factory.mktemp("yaml") / "run.yaml"
    file.write_text(to_yaml(chosen), encoding="utf-8")
    assert from_yaml(PretrainSettings, file) == chosen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "--out is missing: add --out RUN"),
        (["--out", "r"], "DATA is missing: selfsup pretrain DATA... --out RUN [flags]"),
        (["a", "--out"], "--out needs a value after it"),
        (["a", "--out", "r", "--objectives"], "--objectives needs a value after it"),
        (["a", "--out", "r", "--steps", "x"], "--steps takes a whole number, not x"),
        (["a", "--out", "r", "--steps", "1.5"], "--steps takes a whole number, not 1.5"),
        (["a", "--out", "r", "--warmup", "x"], "--warmup takes a number, not x"),
        (
            ["a", "--out", "r", "--max-lenght", "3"],
            "unknown flag --max-lenght: did you mean --max-length?",
        ),
        (
            ["a", "--out", "r", "--max_length=3"],
            "unknown flag --max_length: did you mean --max-length?",
        ),
        (
            ["a", "--out", "r", "--qqq"],
            "unknown flag --qqq: selfsup pretrain --help lists what it takes",
        ),
        (
            ["a", "--out", "r", "--masking", "tokens"],
            "--masking must be one of token, whole-word, span, not 'tokens': did you mean token?",
        ),
        (
            ["a", "--out", "r", "--objectives", "mlm", "ns"],
            "--objectives must be one of mlm, nsp, inpainting, jigsaw, not 'ns': did you mean nsp?",
        ),
        (
            ["a", "--out", "r", "--max-length", "0"],
            "--max-length must be between 16 and 512, not 0",
        ),
        (["a", "--out", "r", "--steps", "0"], "--steps must be at least 1, not 0"),
        (
            ["a", "--out", "r", "--steps", "9" * 400],
            f"--steps must be between 1 and 9,223,372,036,854,775,807, not {'9' * 400}",
        ),
        (
            ["a", "--out", "r", "--learning-rate", "-1"],
            "--learning-rate must be above 0, not -1.0",
        ),
        (
            ["a", "--out", "r", "--mask-probability", "1"],
            "--mask-probability must be above 0 and below 1, not 1.0",
        ),
        (
            ["a", "--out", "r", "--steps", "1", "--budget", "1m"],
            "--steps and --budget both say when to stop: give only one of them (what --config says "
            "is taken back by --budget null, or --steps null)",
        ),
        (
            ["a", "--out", "r", "--budget", "soon"],
            "--budget takes a time such as 90s, 20m or 1h30m, not 'soon'",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line_with_its_flag(arguments: list[str], message: str):
    assert refusal(*arguments) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data: [a\nout: r\n", "run.yaml, line 2: not valid YAML"),
        ("just words\n", "run.yaml holds no settings"),
        ("max_lenght: 3\n", "run.yaml: unknown setting 'max_lenght': did you mean max_length?"),
        ("data: a\n", "run.yaml: data takes a list: write [a]"),
        ("seed:\nout: r\n", "run.yaml: seed has no value: give it one, or take the line out"),
        ("data: []\nout: r\n", "DATA is missing: name one at least"),
        ("json: maybe\n", "run.yaml: json takes true or false, not maybe"),
        ("init: 2\ndata: [a]\nout: r\n", "--init takes a text, not 2: write it in quotes"),
        ("mirror: maybe\n", "run.yaml: mirror takes true or false, not maybe"),
        ("max_length: many\ndata: [a]\nout: r\n", "--max-length takes a whole number, not many"),
        ("max_length: 3\ndata: [a]\nout: r\n", "--max-length must be between 16 and 512, not 3"),
    ],
)
def test_a_mistake_in_yaml_is_named_in_one_line(tmp_path: Path, content: str, message: str):
    file = tmp_path / "run.yaml"
    file.write_text(content)
    refused = refusal("--config", str(file))
    assert message in refused
    assert "\n" not in refused
    with pytest.raises(UserError):
        from_yaml(PretrainSettings, file)


def test_a_yaml_file_that_is_missing_or_no_text_is_named(tmp_path: Path):
    assert "absent.yaml" in refusal("--config", str(tmp_path / "absent.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "binary.yaml is no YAML file" in refusal("--config", str(binary))


@pytest.mark.parametrize("settings_class", ALL_SETTINGS)
def test_every_field_says_what_it_is_for_and_has_a_default_within_its_range(settings_class):
    hints = typing.get_type_hints(settings_class)
    required = {}
    for field in dataclasses.fields(settings_class):
        assert field.metadata["help"], field.name
        if field.default is dataclasses.MISSING:
            required[field.name] = ("x",) if hints[field.name] is not str else "x"
    if "task" in required:
        required["task"] = "sequence-classification"
    for name in ("text", "model"):  # these may be left out where another flag is given
        if name in hints:
            required[name] = "x"
    settings_class(**required)


@pytest.mark.parametrize("settings_class", ALL_SETTINGS)
def test_settings_cannot_be_changed_once_made(settings_class):
    assert settings_class.__dataclass_params__.frozen
