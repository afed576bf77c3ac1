"""`astrosearch shell`: many queries, with index and model loaded once."""

import sys
import textwrap
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import Terminal, notify
from astrosearch.cli.options import (
    answer_options,
    consent_option,
    filter_options,
    index_option,
    library_options,
    mode_option,
    sort_option,
)

if TYPE_CHECKING:
    from astrosearch.corpus.filters import Filters
    from astrosearch.library.scope import Scope
    from astrosearch.search.hits import Answer, Hit
    from astrosearch.search.searcher import Searcher

REMEMBERED = 1_000
"""Lines of earlier sessions that the arrow keys go back to."""

HELP = """\
Type a query as for `astrosearch query`: words, "words side by side", title:,
abs:, author:, year:, pubdate:, cat:, -word, author:(lee OR wu), or an
identifier. A line that begins with a slash is a command:

  /open N          show paper N of the last answer, with its abstract
  /show ID         show any paper of the index
  /similar ID ...  papers nearest to these; N is paper N of the last answer
  /index NAME      search another index
  /OPTION VALUE    set an option of `astrosearch query` for the next queries:
                   {names}
  /OPTION          reset an option to its default; {flags}
                   are switched on and off
  /help, /quit"""

STYLE = ("output", "abstracts", "explain", "key")
"""The parameters that are an `AnswerStyle`."""

BARE = ("help", "quit", "exit")
"""Words that are commands on a terminal even without a slash."""


@click.command()
@mode_option
@sort_option
@answer_options
@filter_options
@library_options
@consent_option
@index_option
@click.pass_context
def shell(ctx: click.Context, /, yes: bool, index_name: str | None, **settings: Any) -> None:
    """Answer many queries, with index and model loaded once.

    Each line is a query, or a command that begins with a slash: type /help. Ctrl-C clears the line
    or stops a query, Ctrl-D leaves. Lines are saved in a history. Without a terminal, each line of
    standard input is answered; the exit code is that of the first line that failed.

    \b
    astrosearch shell
    astrosearch shell --mode dense --since 2015
    echo "magellanic stream" | astrosearch shell --format ids
    """
    from astrosearch.search.searcher import open_index

    with open_index(index_name, reporter=Terminal(yes=yes)) as searcher:
        session = Shell(ctx, searcher, settings)
        code = _converse(session) if sys.stdin.isatty() else _pipe(session)
    ctx.exit(code)


class Shell:
    """The state of a shell: a Searcher, the settings, and the hits of the last answer."""

    def __init__(self, ctx: click.Context, searcher: "Searcher", settings: dict[str, Any]) -> None:
        """
        Args:
            ctx: the context of a command that has the options in `settings`.
            settings: values of the options of `query`, by parameter name.
        """
        self._ctx = ctx
        self._settings = settings
        self._options = {
            name.lstrip("-"): option
            for option in ctx.command.params
            if isinstance(option, click.Option) and option.name in settings
            for name in option.opts[:1]
        }
        self._defaults = ctx.command.make_context("", []).params
        self._hits: list[Hit] = []
        self.use(searcher)

    def use(self, searcher: "Searcher") -> None:
        """Search this index from now on; load its parts now, not at the first query."""
        if self._settings["mode"] != "lexical":
            _ = searcher.encoder
        _ = searcher.index.lexical
        self.searcher = searcher

    @property
    def prompt(self) -> str:
        """The name of the index, and the settings that differ from their defaults."""
        changed = [
            f" {name}={value}"
            for name, option in self._options.items()
            if (value := self._settings[str(option.name)]) != self._defaults[str(option.name)]
        ]
        return f"{self.searcher.name}{''.join(changed)}> "

    def run(self, line: str) -> bool:
        """Answer one line; False if it leaves the shell.

        Raises:
            AstrosearchError, click.UsageError: if the line cannot be answered.
        """
        line = line.encode(errors="replace").decode().strip()
        if not line.startswith("/"):
            if line:
                self._query(line)
            return True
        name, _, value = line[1:].partition(" ")
        value = value.strip()
        match name:
            case "quit" | "q" | "exit":
                return False
            case "help" | "h" | "?":
                flags = " and ".join(f"/{flag}" for flag in self._flags())
                click.echo(HELP.format(names=self._names(), flags=flags), err=True)
            case "index":
                self._change_index(value)
            case "open" | "show":
                self._open(value)
            case "similar":
                self._similar(value.split())
            case _ if name in self._options:
                self._set(self._options[name], value)
            case _:
                raise click.UsageError(f"there is no /{name}; see /help")
        return True

    @property
    def commands(self) -> list[str]:
        """The commands that Tab completes."""
        fixed = ("help", "index", "open", "quit", "show", "similar")
        return [f"/{name}" for name in (*fixed, *self._options)]

    def _flags(self) -> list[str]:
        return [name for name, option in self._options.items() if option.is_flag]

    def _change_index(self, name: str) -> None:
        from astrosearch.search.searcher import open_index

        if not name:
            raise click.UsageError(
                f"name an index: /index NAME; the current one is {self.searcher.name}"
            )
        previous = self.searcher
        self.use(open_index(name, reporter=Terminal()))
        previous.close()
        self._hits = []
        notify(f"{len(self.searcher):,} papers in index {self.searcher.name}")

    def _names(self) -> str:
        return textwrap.fill(", ".join(self._options), 60).replace("\n", "\n" + " " * 19)

    def _query(self, text: str) -> None:
        from astrosearch.search.query_parser import parse

        query, filters = parse(text), self._filters()
        settings = self._settings
        scope = self._scope()
        answer = scope.answer(self.searcher, query, settings["k"], filters, settings["mode"])
        for note in answer.notes:
            notify(note)
        if not answer.hits:
            raise scope.why_empty(self.searcher, query, filters)
        self._answer(answer, text)

    def _similar(self, names: list[str]) -> None:
        from astrosearch.search.hits import Answer

        if not names:
            raise click.UsageError(
                "name a paper: /similar ID, or /similar N for paper N of the last answer"
            )
        ids, filters = [self._id(name) for name in names], self._filters()
        scope = self._scope()
        hits = scope.similar(self.searcher, ids, self._settings["k"], filters)
        if not hits:
            raise scope.why_empty(self.searcher, None, filters)
        self._answer(Answer(hits), " ".join(ids))

    def _open(self, name: str) -> None:
        from astrosearch.cli.views.hits import write_paper

        if not name:
            raise click.UsageError("name a paper: its number in the last answer, or its ID")
        write_paper(self.searcher.paper(self._id(name)), format="table")

    def _id(self, name: str) -> str:
        """The identifier of paper N of the last answer, or of any form of an identifier."""
        from astrosearch.papers import parse_id

        if not name.isdecimal() or len(name) > 4:
            return parse_id(name).id
        if not 1 <= int(name) <= len(self._hits):
            raise click.UsageError(
                f"the last answer has {len(self._hits)} papers; there is no paper {name}"
            )
        return self._hits[int(name) - 1].paper.id

    def _set(self, option: click.Option, value: str) -> None:
        """
        Raises:
            click.UsageError, InputError: if the option cannot have this value, or the filters
                cannot hold with it; the settings are then as before.
        """
        name, settings = str(option.name), dict(self._settings)
        if value:
            settings[name] = option.type_cast_value(self._ctx, value)
        elif option.is_flag:
            settings[name] = not settings[name]
        else:
            settings[name] = self._defaults[name]
        _filters_of(settings)
        self._settings = settings

    def _filters(self) -> "Filters":
        return _filters_of(self._settings)

    def _scope(self) -> "Scope":
        """Read anew for each query: the library may change meanwhile."""
        from astrosearch.cli.query import scope_of

        return scope_of(self._settings["within"], self._settings["beyond"])

    def _answer(self, answer: "Answer", query: str) -> None:
        from astrosearch.cli.query import AnswerStyle, in_order, write_answer

        answer = in_order(answer, self._settings["sort"])
        self._hits = answer.hits
        style = AnswerStyle(*(self._settings[name] for name in STYLE))
        write_answer(answer, style, query=query, index=self.searcher.name)


def _filters_of(settings: dict[str, Any]) -> "Filters":
    from astrosearch.corpus.filters import Filters

    return Filters(**{name: settings[name] for name in Filters.__slots__})


def _converse(session: Shell) -> int:
    """Answer lines from a terminal, until Ctrl-D."""
    history = _history(session.commands)
    count = f"{len(session.searcher):,} papers in index {session.searcher.name}"
    notify(f"{count}. Type a query; /help for help, Ctrl-D to leave.")
    while True:
        try:
            line = _read(session.prompt)
        except EOFError:
            click.echo(err=True)
            return 0
        except KeyboardInterrupt:
            click.echo(err=True)
            continue
        if line.strip():
            _remember(history, line)
        if line.strip() in BARE:
            line = f"/{line.strip()}"
        try:
            if not session.run(line):
                return 0
        except (KeyboardInterrupt, click.Abort):  # the latter at a question
            notify("\nastrosearch: stopped.")
        except Exception as error:
            _notify_error(error, session.searcher.name)


def _pipe(session: Shell) -> int:
    """Answer lines from a pipe; return the exit code of the first one that failed, or 0."""
    code = 0
    for line in sys.stdin:
        try:
            if not session.run(line):
                break
        except Exception as error:
            error_code = _notify_error(error, session.searcher.name)
            code = code or error_code
    return code


def _notify_error(error: Exception, index: str) -> int:
    """Print one line for an error of the user's or the index's; return its exit code.

    Raises:
        Exception: any other error, unchanged: it is a bug.
    """
    from astrosearch.cli.errors import with_remedy
    from astrosearch.errors import AstrosearchError
    from astrosearch.text.tex import one_line

    if isinstance(error, AstrosearchError):
        notify(f"astrosearch: {one_line(with_remedy(error, index))}")
    elif isinstance(error, click.UsageError):
        notify(f"astrosearch: {one_line(error.format_message())}")
    else:
        raise error
    return error.exit_code


def _read(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    click.echo(prompt, nl=False, err=True)  # standard output is for answers
    return input()


def _history(commands: list[str]) -> Path:
    """The file of earlier lines. It is loaded for the arrow keys, and Tab completes commands."""
    from astrosearch import paths

    file = paths.history_file()
    try:
        import readline
    except ImportError:  # on Windows, where the terminal edits lines by itself
        return file
    readline.set_completer_delims(" ")
    readline.set_completer(
        lambda text, number: ([*_completions(text, commands), None])[number] if text else None
    )
    readline.parse_and_bind("tab: complete")
    if file.exists():
        with file.open(encoding="utf-8", errors="replace") as stream:
            for line in deque(stream, maxlen=REMEMBERED):
                readline.add_history(line.rstrip("\n"))
    return file


def _completions(text: str, commands: list[str]) -> list[str]:
    """
    >>> _completions("/si", ["/show", "/similar"])
    ['/similar ']
    """
    return [f"{command} " for command in commands if command.startswith(text)]


def _remember(file: Path, line: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # queries are private
        with file.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(line + "\n")
    except OSError as error:
        notify(f"astrosearch: this line could not be saved in the history: {error}")
