"""The command line: the commands, and `main`, which runs one and says what is wrong in one line.

Nothing heavy is imported before it is known which command runs, so that `selfsup --help` is fast.
"""

import codecs
import contextlib
import dataclasses
import errno
import json
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from selfsup import __version__
from selfsup.cli import help_page
from selfsup.errors import UserError, shortened
from selfsup.interruption import end_at_next_signal, exit_status, signals_raised
from selfsup.runs import with_nulls
from selfsup.settings.corpus import PrepareSettings, TrainTokenizerSettings
from selfsup.settings.explain import ExplainSettings
from selfsup.settings.fields import closest
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings, FillMaskSettings, PredictSettings
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.settings.reading import ReadingFlags
from selfsup.settings.showing import DemoSettings, DoctorSettings, ReportSettings
from selfsup.terminal import OutputLost, guarded_streams, line_for, say

Result = dict[str, Any]
"""What a command answers, and `--json` prints."""


class Command(NamedTuple):
    """The dataclass of a command's settings, and its work."""

    settings: type
    run: Callable[[Any], Result]


def _demo(chosen: DemoSettings) -> Result:
    if chosen.data == "images":
        from selfsup.demo.images import ImageDemo

        return ImageDemo(chosen).run()
    from selfsup.demo.text import TextDemo

    return TextDemo(chosen).run()


def _prepare(chosen: PrepareSettings) -> Result:
    from selfsup.corpus.prepare import prepare

    options = dataclasses.asdict(chosen)
    corpus, tokenizer, out = (options.pop(name) for name in ("corpus", "tokenizer", "out"))
    for field in dataclasses.fields(ReadingFlags):
        options.pop(field.name)
    options["file_format"] = chosen.file_format
    return prepare(list(corpus), tokenizer, out, **options) | {"out": out}


def _resume(chosen: ResumeSettings) -> Result:
    started = time.monotonic()
    from selfsup.runs.reading import kind_to_resume

    if kind_to_resume(Path(chosen.run)) == "finetune":
        from selfsup.finetuning.run import resume

        return resume(chosen)
    from selfsup.pretraining.run import resume

    return resume(chosen, started)


def _report(chosen: ReportSettings) -> Result:
    from selfsup.report.page import write_report

    return write_report(chosen.runs, chosen.out)


def _imported(module: str, function: str) -> Callable[[Any], Result]:
    """The function of that module, which is imported when the command runs."""
    return lambda chosen: getattr(import_module(f"selfsup.{module}"), function)(chosen)


def _timed(module: str, function: str) -> Callable[[Any], Result]:
    """The same, told when the command began, before the import."""

    def run(chosen: Any) -> Result:
        started = time.monotonic()
        return getattr(import_module(f"selfsup.{module}"), function)(chosen, started)

    return run


COMMANDS = {
    "demo": Command(DemoSettings, _demo),
    "explain": Command(ExplainSettings, _imported("explain.run", "explain")),
    "train-tokenizer": Command(
        TrainTokenizerSettings, _imported("corpus.tokenizer.training", "train_from_corpus")
    ),
    "prepare": Command(PrepareSettings, _prepare),
    "pretrain": Command(PretrainSettings, _timed("pretraining.run", "pretrain")),
    "resume": Command(ResumeSettings, _resume),
    "finetune": Command(FinetuneSettings, _imported("finetuning.run", "finetune")),
    "evaluate": Command(EvaluateSettings, _imported("inference.evaluate", "evaluate")),
    "predict": Command(PredictSettings, _imported("inference.predict", "predict")),
    "fill-mask": Command(FillMaskSettings, _imported("inference.fill_mask", "fill_mask_command")),
    "report": Command(ReportSettings, _report),
    "doctor": Command(DoctorSettings, _imported("doctor", "doctor")),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0: it ended well. 1: `doctor --strict` found a problem. 2: the user can fix what is wrong, and
    one line on standard error says how. 130 and 143: interrupted with Ctrl-C or SIGTERM. 141: the
    reader of the output has ended, as in `selfsup … | head`.
    """
    with guarded_streams(), signals_raised():
        status = _status(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # The interpreter ends: a signal would give a traceback.
        end_at_next_signal()
    return status


def _status(arguments: list[str]) -> int:
    """Run one command, and say in one line what went wrong."""
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
        return status
    except UserError as error:
        return _refuse(str(error))
    except KeyboardInterrupt as interruption:
        how = str(interruption) or "interrupted: the same command begins again"
        say(f"selfsup: {how}")
        return exit_status(interruption)
    except OutputLost as lost:
        if lost.has_no_reader:  # nobody misses anything: as a program that SIGPIPE ends
            return 128 + getattr(signal, "SIGPIPE", 13)
        return _refuse(f"standard output cannot be written ({lost}): send it to another place")
    except OSError as error:
        return _refuse(shortened(_explain_os_error(error)))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return _refuse(
            "not enough memory: give a smaller --batch-size or --max-length, or take a smaller "
            "encoder"
        )


def _dispatch(arguments: list[str]) -> int:
    name, *rest = arguments or [""]
    if name == "help" and rest:  # `selfsup help predict` is `selfsup predict --help`
        name, rest = rest[0], ["--help"]
    if name in ("-h", "--help", "help", ""):
        print(help_page.all_commands({name: entry.settings for name, entry in COMMANDS.items()}))
        return 0 if name else 2
    if name == "--version":
        print(f"selfsup {__version__}")
        return 0
    if name not in COMMANDS:
        hint = closest(name.lower(), COMMANDS) or ": selfsup --help lists the commands"
        raise UserError(f"unknown {'flag' if name.startswith('-') else 'command'} {name!r}{hint}")
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    before_text = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "-h" in before_text or "--help" in before_text:
        print(help_page.one_command(name, command.settings))
        return 0

    from selfsup.cli.parser import parse_command  # imports a YAML library

    chosen, as_json = parse_command(name, command.settings, arguments)
    writes_data = getattr(chosen, "writes_to_stdout", False)
    # A library that prints would spoil the result on standard output, and where that cannot be
    # written, it would stop the work.
    with contextlib.nullcontext() if writes_data else contextlib.redirect_stdout(sys.stderr):
        result = command.run(chosen)
    with contextlib.redirect_stdout(sys.stderr) if writes_data else contextlib.nullcontext():
        if as_json:
            is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
            print(json.dumps(with_nulls(result), ensure_ascii=not is_utf8, allow_nan=False))
        else:
            from selfsup.cli.results import SHOW

            SHOW[name](result)
    return int(getattr(chosen, "strict", False) and bool(result["problems"]))


def _explain_os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        reason = "the disk is full: free some space and run the command again"
    return f"{error.filename}: {reason}" if error.filename else reason


def _is_out_of_memory(error: Exception) -> bool:
    """Whether NumPy or PyTorch ran out of memory; on a CPU PyTorch raises a bare RuntimeError."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool({"MemoryError", "OutOfMemoryError"} & names) or any(
        words in str(error) for words in ("allocate memory", "not enough memory")
    )


def _refuse(reason: str) -> int:
    # On a terminal a line break in a name is shown; elsewhere it must not begin a line.
    say("selfsup: error: " + " ".join(line_for(sys.stderr, reason.strip()).split()))
    return 2
