"""The command line: one function per command, which calls what does its work.

Nothing heavy is imported before it is known which command runs, so `selfsup --help` is quick.
"""

import contextlib
import errno
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from selfsup import __version__, settings
from selfsup.errors import UserError
from selfsup.settings.fields import closest

Result = dict[str, Any]


class Command(NamedTuple):
    """What the command takes, the work it does, and the function that prints its result."""

    settings: type
    run: Callable[[Any], Result]
    show: str
    """The name of a function of selfsup.cli.terminal."""


def demo(chosen: settings.DemoSettings) -> Result:
    if chosen.data == "images":
        from selfsup.demo import images as demo_images

        return demo_images.demo_images(chosen)
    from selfsup.demo import text as demo

    return demo.demo(chosen)


def train_tokenizer(chosen: settings.TrainTokenizerSettings) -> Result:
    from selfsup.corpus import train_tokenizer

    return train_tokenizer.train_tokenizer(chosen)


def prepare(chosen: settings.PrepareSettings) -> Result:
    from selfsup.corpus import prepare

    return prepare.prepare(
        list(chosen.corpus),
        chosen.tokenizer,
        chosen.out,
        workers=chosen.workers,
        text_field=chosen.text_field,
        text_documents=chosen.text_documents,  # pyright: ignore[reportArgumentType]
        language=chosen.language,
        shard_tokens=chosen.shard_tokens,
        max_bad_fraction=chosen.max_bad_fraction,
    ) | {"out": chosen.out}


def pretrain(chosen: settings.PretrainSettings) -> Result:
    from selfsup.pretraining import run as pretrain

    return pretrain.pretrain(chosen)


def resume(chosen: settings.ResumeSettings) -> Result:
    from selfsup.pretraining import run as pretrain

    return pretrain.resume(chosen)


def finetune(chosen: settings.FinetuneSettings) -> Result:
    from selfsup.finetuning import run as finetune

    return finetune.finetune(chosen)


def evaluate(chosen: settings.EvaluateSettings) -> Result:
    from selfsup.inference import evaluate

    return evaluate.evaluate(chosen)


def predict(chosen: settings.PredictSettings) -> Result:
    from selfsup.inference import predict

    return predict.predict(chosen)


def fill_mask(chosen: settings.FillMaskSettings) -> Result:
    from selfsup.inference import fill_mask

    return fill_mask.fill_mask_command(chosen)


def report(chosen: settings.ReportSettings) -> Result:
    from selfsup.report import page

    return page.write_report(chosen.runs, chosen.out)


def doctor(chosen: settings.DoctorSettings) -> Result:
    from selfsup.doctor import command as doctor

    return doctor.doctor(chosen)


COMMANDS = {
    "demo": Command(settings.DemoSettings, demo, "show_demo"),
    "train-tokenizer": Command(settings.TrainTokenizerSettings, train_tokenizer, "show_tokenizer"),
    "prepare": Command(settings.PrepareSettings, prepare, "show_shards"),
    "pretrain": Command(settings.PretrainSettings, pretrain, "show_pretraining"),
    "resume": Command(settings.ResumeSettings, resume, "show_pretraining"),
    "finetune": Command(settings.FinetuneSettings, finetune, "show_finetuning"),
    "evaluate": Command(settings.EvaluateSettings, evaluate, "show_evaluation"),
    "predict": Command(settings.PredictSettings, predict, "show_prediction"),
    "fill-mask": Command(settings.FillMaskSettings, fill_mask, "show_filled_masks"),
    "report": Command(settings.ReportSettings, report, "show_report"),
    "doctor": Command(settings.DoctorSettings, doctor, "show_diagnosis"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 it ended well; 2 the user can mend what was wrong, which one line on standard error says;
    130 interrupted with Ctrl-C.
    """
    try:
        status = _dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return status
    except UserError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("selfsup: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone (`selfsup … | head`): nobody to tell.
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        return _refuse(_explain_os_error(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return _refuse(
            "the memory does not suffice: give a smaller --batch-size or --max-length, or take a "
            "smaller encoder"
        )


def _dispatch(arguments: list[str]) -> int:
    name, *rest = arguments or [""]
    if name in ("-h", "--help", "help", ""):
        from selfsup.settings import help_page

        print(help_page.all_commands({name: entry.settings for name, entry in COMMANDS.items()}))
        return 0 if name else 2
    if name == "--version":
        print(f"selfsup {__version__}")
        return 0
    if name not in COMMANDS:
        hint = closest(name, COMMANDS) or ": selfsup --help lists the commands"
        raise UserError(f"unknown {'flag' if name.startswith('-') else 'command'} {name!r}{hint}")
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    before_text = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "-h" in before_text or "--help" in before_text:
        from selfsup.settings import help_page

        print(help_page.one_command(name, command.settings))
        return 0

    from selfsup.settings import parser

    chosen, as_json = parser.parse_command(name, command.settings, arguments)
    # A library that prints would spoil the one JSON object on standard output.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        result = command.run(chosen)
    if as_json:
        print(json.dumps(_as_json(result), ensure_ascii=False, allow_nan=False))
    else:
        from selfsup.cli import terminal

        getattr(terminal, command.show)(result)
    return 0


def _as_json(value: Any) -> Any:
    """The value with null for what JSON has no number for (the loss of a run that diverged)."""
    if isinstance(value, dict):
        return {str(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _explain_os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        reason = "the disk is full: free some space and run the command again"
    return f"{error.filename}: {reason}" if error.filename else reason


def _is_out_of_memory(error: Exception) -> bool:
    """Whether NumPy, or PyTorch on a CPU (a bare RuntimeError) or a GPU, found no more memory."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool({"MemoryError", "OutOfMemoryError"} & names) or any(
        words in str(error) for words in ("allocate memory", "not enough memory")
    )


def _drop_output() -> None:
    """Where standard output takes no more, forget what is buffered for it.

    Else the interpreter would try once more at its end, and complain.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(reason: str) -> int:
    print("selfsup: error: " + " ".join(reason.split()), file=sys.stderr)
    return 2
