"""What `selfsup --help` and `selfsup COMMAND --help` print."""

import dataclasses
import inspect
import shutil
import textwrap
import typing
from typing import Any

from selfsup.settings.fields import COMMON_FLAGS, flag_name, inner_type


def all_commands(commands: dict[str, type]) -> str:
    """The page that lists the commands.

    commands: the settings dataclass of each command, by its name.
    """
    lines = [
        "Self-supervised pre-training and transfer learning, from raw text to a working model.",
        "",
        "Usage: selfsup COMMAND [arguments]",
        "",
        *(_entry(name, _summary(settings), indent=20) for name, settings in commands.items()),
        "",
        "selfsup help COMMAND shows a command's arguments; selfsup --version shows the version.",
    ]
    return "\n".join(lines)


def one_command(command: str, settings_class: type) -> str:
    """The page of one command: what it does, its flags by group with their defaults, an example."""
    # Flags that many commands share come last in their group.
    own = inspect.get_annotations(settings_class)
    fields = sorted(dataclasses.fields(settings_class), key=lambda field: field.name not in own)
    hints = typing.get_type_hints(settings_class)
    about, _, examples = inspect.cleandoc(settings_class.__doc__ or "").partition("\nExample")
    groups: dict[str, list[dataclasses.Field]] = {}
    for field in fields:
        groups.setdefault(field.metadata.get("group", ""), []).append(field)

    # The flags of the run come last, before those that every command has.
    order = sorted(groups, key=lambda group: group == "Run")
    lines = [about.strip(), "", "Usage: " + usage(command, settings_class)]
    for group in order:
        lines += ["", *([group] if group else [])]
        lines += [_entry(_form(field, hints[field.name]), _help(field)) for field in groups[group]]
    lines += ["", "Every command", *(_entry(form, about) for form, about in COMMON_FLAGS.items())]
    if examples:
        lines += ["", "Example" + examples]
    return "\n".join(lines)


def usage(command: str, settings_class: type) -> str:
    """`selfsup prepare CORPUS... --tokenizer DIR --out DIR [flags]`: all that is required."""
    hints = typing.get_type_hints(settings_class)
    by_place, by_name = [], []
    for field in dataclasses.fields(settings_class):
        form = _form(field, hints[field.name])
        required = field.default is dataclasses.MISSING
        if field.metadata.get("positional"):
            by_place.append(form if required else f"[{form}]")
        elif required:
            by_name.append(form)
    return " ".join(["selfsup", command, *by_place, *by_name, "[flags]"])


def _summary(settings_class: type) -> str:
    return inspect.cleandoc(settings_class.__doc__ or "").partition("\n")[0].rstrip(".")


def _form(field: dataclasses.Field, hint: Any) -> str:
    """The argument as it is written: `DATA...`, `--seed S`, `--lowercase/--no-lowercase`."""
    name, metavar = flag_name(field), field.metadata.get("metavar")
    many = "..." if typing.get_origin(inner_type(hint)) is tuple else ""
    if field.metadata.get("positional"):
        return name + many
    if hint is bool:
        return f"{name}/{name.replace('--', '--no-', 1)}"
    if field.metadata.get("choices"):
        metavar = metavar or "|".join(field.metadata["choices"])
    return f"{name} {metavar or 'X'}{many}"


def _help(field: dataclasses.Field) -> str:
    """The help of the field, and its default in brackets."""
    about = field.metadata["help"]
    if field.default is dataclasses.MISSING:
        return about if field.metadata.get("positional") else f"{about} [required]"
    if field.default is None:
        return about
    if isinstance(field.default, bool):
        return f"{about} [{'yes' if field.default else 'no'}]"
    default = " ".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"{about} [{default}]"


def _entry(form: str, about: str, indent: int = 26) -> str:
    """A name on the left, and its description after `indent` columns."""
    width = max(60, min(100, shutil.get_terminal_size().columns))
    lines = textwrap.wrap(about, width - indent, break_on_hyphens=False)
    head = f"  {form}"
    # A name that is too long for its column has a line of its own.
    lines = (
        [head, *lines] if len(head) > indent - 2 else [head.ljust(indent) + lines[0], *lines[1:]]
    )
    return "\n".join([lines[0], *(" " * indent + line for line in lines[1:])])
