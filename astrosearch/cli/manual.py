"""The manual page, made of the help of all commands.

The page is roff with the `man` macros (groff_man(7)): .SH a section, .SS a command, .TP an option
and its text, .nf and .fi around lines that stay as they are.
"""

from collections.abc import Iterator
from inspect import cleandoc

import click


def manual(root: click.Context) -> str:
    """`astrosearch.1`: the commands of a context, each with its help, in roff."""
    from astrosearch import __version__

    command = root.command
    name = str(root.info_name or command.name).partition(" ")[0]
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {__version__}" "User Commands"',
        ".SH NAME",
        f"{_plain(name)} \\- {_plain(command.get_short_help_str(200))}",
        ".SH SYNOPSIS",
        f".B {_plain(name)}",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH DESCRIPTION",
        *_text(command.help or ""),
        ".SH OPTIONS",
        *_options(root),
        ".SH COMMANDS",
    ]
    for context in _contexts(root):
        lines += [
            f".SS {_plain(context.command_path)} {_plain(_synopsis(context))}".rstrip(),
            *_text(context.command.help or ""),
            *_options(context),
        ]
    lines += [
        ".SH EXIT STATUS",
        "0 done, 1 failed, 2 wrong usage or input, 3 something has to be set up first, "
        "4 nothing found, 130 stopped.",
    ]
    return "\n".join(lines)


def _contexts(parent: click.Context) -> Iterator[click.Context]:
    """A context for each command below a group, in the order of the help."""
    group = parent.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=parent)
        yield context
        yield from _contexts(context)


def _synopsis(context: click.Context) -> str:
    return " ".join(context.command.collect_usage_pieces(context))


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option):
            names, text = record
            yield from (".TP", f"\\fB{_plain(names)}\\fR", _plain(text))


def _text(text: str) -> Iterator[str]:
    """A docstring as click reads it: paragraphs, and after \\b lines that stay as they are."""
    for paragraph in cleandoc(text).split("\n\n"):
        lines = paragraph.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            yield from (".PP", ".nf", *(_plain(line) for line in lines[1:]), ".fi")
        elif lines:
            yield from (".PP", _plain(" ".join(line.strip() for line in lines)))


def _plain(text: str) -> str:
    """A text that roff takes for a text: backslashes, hyphens and leading dots are protected."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text
