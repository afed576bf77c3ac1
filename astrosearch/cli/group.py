"""The main command: its list of commands by purpose, its words for a mistyped one, and the one
place where an error becomes a line and an exit code."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from astrosearch.cli import console, errors
from astrosearch.cli.options import INDEX
from astrosearch.cli.plugins import PluginGroup

PURPOSES = {
    "Find papers": ("query", "ask", "similar", "cite", "refs", "show", "browse", "shell", "map"),
    "Keep papers": ("library", "new", "save", "run", "searches", "forget"),
    "Serve": ("serve", "mcp"),
    "Compare and write": ("compare", "complete"),
    "Build indexes": ("index", "update", "indexes", "corpus", "citations"),
    "Measure and train": ("eval", "train"),
    "Set up": ("config", "models", "doctor", "completion", "help"),
}
"""The commands of the main help; one that is not named here is listed last."""

HEAVY = set(
    "query ask similar cite refs citations browse shell library new run compare complete index "
    "eval train serve map mcp".split()
)
"""Commands that load numpy and more."""

ANSWERING = set("query ask similar cite browse shell run new".split())
"""Commands whose matrices are so small that threads of numpy's BLAS would mostly wait for each
other, at the cost of those that search."""

ALIASES = {"search": "query"}

_MEANT = {
    "answer": "ask",
    "build": "index",
    "gui": "browse",
    "tui": "browse",
    "download": "models fetch",
    "evaluate": "eval",
    "fetch": "models fetch",
    "find": "query",
    "harvest": "corpus harvest",
    "import": "corpus import",
    "info": "indexes info",
    "like": "similar",
    "list": "indexes",
    "ls": "indexes",
    "open": "show",
    "refresh": "update",
    "remove": "indexes remove",
    "tune": "indexes tune",
    "merge": "indexes merge",
    "verify": "indexes verify",
}
"""Words that people try, and the command they mean."""

_OPTIONS_MEANT = {
    "--bibtex": "--format bibtex",
    "--csv": "--format csv",
    "--from": "--since",
    "--ids": "--format ids",
    "--json": "--format json",
    "--jsonl": "--format jsonl",
    "--limit": "--count",
    "--max": "--count",
    "--name": "--index",
    "--number": "--count",
    "--output": "--format",
    "--to": "--until",
    "--top": "--count",
    "--top-k": "--count",
    "--year": "--since",
    "-f": "--format",
    "-n": "--count",
    "-o": "--out",
}


_HYPHEN = "\u2011"
"""One that is not a place to break a line."""


class _HelpFormatter(click.HelpFormatter):
    """Breaks lines between words only, not in astro-ph.GA or YYYY-MM-DD."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], *rest: int, **widths: int) -> None:
        whole = [(name, text.replace("-", _HYPHEN)) for name, text in rows]
        super().write_dl(whole, *rest, **widths)

    def getvalue(self) -> str:
        return super().getvalue().replace(_HYPHEN, "-")


click.Context.formatter_class = _HelpFormatter  # of every command, those of other packages too


class MainGroup(PluginGroup):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if ctx.resilient_parsing:  # at the Tab key
            return super().resolve_command(ctx, args)
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(self._unknown(ctx, name), ctx)
        if ALIASES.get(name, name) in HEAVY and not set(args) & set(ctx.help_option_names):
            errors.check_memory()
        if ALIASES.get(name, name) in ANSWERING:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy reads it
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, name: str) -> str:
        """`There is no command 'serach'. Did you mean 'query'?`"""
        names = list(self._shown(ctx))
        meant = {**{one: one for one in names}, **ALIASES, **_MEANT}
        text = f"There is no command {name!r}."
        if close := _closest(name.lower(), list(meant)):
            return f"{text} Did you mean {meant[close]!r}?"
        return f"{text} To search for it: astrosearch query {name!r}"

    def _shown(self, ctx: click.Context) -> dict[str, click.Command]:
        """The commands that the help lists."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return {name: command for name, command in commands if command and not command.hidden}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = self._shown(ctx)
        grouped = {name for names in PURPOSES.values() for name in names}
        others = tuple(name for name in commands if name not in grouped)
        limit = formatter.width - 6 - max(map(len, commands))
        for purpose, names in {**PURPOSES, "Others": others}.items():
            rows = [
                (name, commands[name].get_short_help_str(limit))
                for name in names
                if name in commands
            ]
            if rows:
                with formatter.section(purpose):
                    formatter.write_dl([(f"{name:<10}", text) for name, text in rows])

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        console.prepare_streams()
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with self._endings(ctx):  # --help and --version are answered here
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with self._endings(ctx):
            result = super().invoke(ctx)
            console.close()
            console.flush()
            return result

    @contextmanager
    def _endings(self, ctx: click.Context) -> Iterator[None]:
        try:
            yield
        except click.NoSuchOption as error:
            self._end(ctx, self._no_option(error))
        except (KeyboardInterrupt, click.Abort) as interrupt:
            click.echo(err=True)  # below the terminal's ^C
            self._end(ctx, interrupt)
        except Exception as error:
            self._end(ctx, error)

    def _end(self, ctx: click.Context, error: BaseException) -> NoReturn:
        ending = errors.ending(error, ctx.meta.get(INDEX))
        if ending is None:
            raise error
        console.close()
        if ctx.params.get("debug"):
            import traceback

            console.notify("".join(traceback.format_exception(error)).rstrip())
        if ending.output_lost:
            console.discard_output()
        if ending.line:
            from astrosearch.text.tex import one_line

            # File names and manifests are others' texts: they must not steer the terminal.
            console.notify(f"astrosearch: {one_line(ending.line)}")
        ctx.exit(ending.exit_code)

    def _no_option(self, error: click.NoSuchOption) -> click.UsageError:
        """The error with what was meant in place of click's guess."""
        name, text = error.option_name, f"There is no option {error.option_name!r}."
        command = error.ctx.command if error.ctx else self
        options = [option for option in command.params if isinstance(option, click.Option)]
        names = [name for option in options if not option.hidden for name in option.opts]
        meant = {**{name: name for name in names}, "--help": "--help"}
        meant |= {word: to for word, to in _OPTIONS_MEANT.items() if to.split()[0] in names}
        if command is not self and name in (name for param in self.params for name in param.opts):
            text += f" It stands before the command: astrosearch {name} {command.name}"
        elif close := _closest(name, list(meant)):
            text += f" Did you mean {meant[close]!r}?"
        elif command is self:
            text += " Options stand after the command, as in: astrosearch query TEXT -k 5"
        return click.UsageError(text, error.ctx)


class ListGroup(click.Group):
    """A group whose command `list` is the usual one: `indexes --format json` is `indexes list
    --format json`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_option = bool(args) and args[0].startswith("-") and args[0] not in ctx.help_option_names
        if not ctx.resilient_parsing and (not args or is_option):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def _closest(name: str, names: list[str]) -> str | None:
    from difflib import get_close_matches

    if name in names:
        return name
    matches = get_close_matches(name, names, n=1, cutoff=0.76)
    return matches[0] if matches else None
