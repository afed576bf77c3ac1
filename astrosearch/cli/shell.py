"""`astrosearch shell`: many queries, with index and model loaded once."""

import sys
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.ask import SENTENCES
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
    from astrosearch.cli.actions import Question
    from astrosearch.completion.generators.base import Generator, Sampling
    from astrosearch.papers import Paper
    from astrosearch.search.conversation import Conversation
    from astrosearch.search.hits import Answer
    from astrosearch.search.searcher import Searcher

HELP = """\
Type a query as for `astrosearch query`: words, "words side by side", title:,
abs:, author:, year:, pubdate:, cat:, -word, author:(lee OR wu), or an
identifier. A line that begins with a slash is a command:

  /ask QUESTION    answer in sentences of abstracts; "and at higher redshift?"
                   goes on from the question before. With /model, a language
                   model answers from these sentences
  /open N          show a paper with its abstract; N is its number in the last
                   answer, or any arXiv identifier; /show is the same
  /web N           open the page of a paper in your web browser
  /similar N ...   papers nearest to these
  /bibtex N ...    BibTeX of papers; without N, of the last answer
  /index NAME      search another index; without NAME, list the indexes
  /OPTION VALUE    set an option of `astrosearch query` for the next queries:
                   {names}
  /OPTION          reset an option to its default; {flags}
                   are switched on and off
  /help, /quit     also without the slash

Tab completes commands, the names of indexes, and the identifiers of the last
answer."""

STYLE = ("output", "abstracts", "explain", "key")
"""The parameters that are an `AnswerStyle`."""

BARE = ("help", "quit", "exit")
"""Words that are commands even without a slash."""

OF_PAPERS = ("bibtex", "open", "show", "similar", "web")
"""The commands that are followed by papers."""

FIXED = ("ask", "help", "index", "quit", *OF_PAPERS)
"""The commands that are not options."""


@click.command()
@mode_option
@sort_option
@answer_options
@filter_options
@library_options
@click.option("--model", metavar="MODEL", help="What answers /ask, as for ask; by default quotes.")
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
        session = Shell(ctx, searcher, settings, Terminal(yes=yes))
        code = _converse(session) if sys.stdin.isatty() else _pipe(session)
    ctx.exit(code)


class Shell:
    """The state of a shell: a Searcher, the settings, the papers of the last answer, and what was
    asked before."""

    def __init__(
        self,
        ctx: click.Context,
        searcher: "Searcher",
        settings: dict[str, Any],
        reporter: Terminal,
    ) -> None:
        """
        Args:
            ctx: the context of a command that has the options in `settings`.
            settings: values of the options of `query`, and `model`, by parameter name.
            reporter: asks whether texts may be sent to a model's service.
        """
        self._reporter = reporter
        self._ctx = ctx
        self._settings = settings
        self._options = {
            name.lstrip("-"): option
            for option in ctx.command.params
            if isinstance(option, click.Option) and option.name in settings
            for name in option.opts[:1]
        }
        self._defaults = ctx.command.make_context("", []).params
        self._papers: list[Paper] = []
        self._conversation: Conversation | None = None
        self._generator: tuple[str, Generator] | None = None
        """The model that answered last, by its name."""
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
        if not line.startswith("/") and line not in BARE:
            if line:
                self._query(line)
            return True
        name, _, value = line.removeprefix("/").partition(" ")
        value = value.strip()
        match name:
            case "quit" | "q" | "exit":
                return False
            case "help" | "h" | "?":
                flags = " and ".join(f"/{flag}" for flag in self._flags())
                click.echo(HELP.format(names=self._names(), flags=flags), err=True)
            case "ask":
                self._ask(value)
            case "index":
                self._change_index(value)
            case "open" | "show":
                self._open(value)
            case "web":
                self._open_page(value)
            case "similar":
                self._similar(value.split())
            case "bibtex":
                self._bibtex(value.split())
            case _ if name in self._options:
                self._set(self._options[name], value)
            case _:
                raise click.UsageError(f"there is no /{name}; see /help")
        return True

    def completions(self, line: str) -> list[str]:
        """What the last word of a line may become, with a space behind it.

        `/si` becomes `/similar `, `/index a` becomes `/index astro `, `/open 2503` becomes
        `/open 2503.14368 ` if the last answer has this paper.
        """
        from astrosearch import paths

        command, *words = line.lstrip().split(" ")
        if not command.startswith("/"):
            return []
        offered: list[str] = []
        if not words:
            offered = [f"/{name}" for name in sorted({*FIXED, *self._options})]
        elif command == "/index":
            offered = paths.index_names()
        elif command[1:] in OF_PAPERS:
            offered = [paper.id for paper in self._papers]
        elif option := self._options.get(command[1:]):
            offered = list(getattr(option.type, "choices", ()))
        typed = words[-1] if words else command
        return [f"{word} " for word in offered if word.startswith(typed)]

    def _flags(self) -> list[str]:
        return [name for name, option in self._options.items() if option.is_flag]

    def _change_index(self, name: str) -> None:
        """Search another index; list them if it has no name."""
        if not name:
            self._list_indexes()
            return
        from astrosearch.errors import IndexMissing, SetupError
        from astrosearch.search.searcher import open_index

        previous = self.searcher
        try:
            self.use(open_index(name, reporter=Terminal()))
        except IndexMissing as error:  # its remedy would name the index that is searched
            raise SetupError(str(error)) from None
        previous.close()
        self._papers, self._conversation = [], None
        notify(f"{len(self.searcher):,} papers in index {self.searcher.name}")

    def _list_indexes(self) -> None:
        from astrosearch import paths

        others = [name for name in paths.index_names() if name != self.searcher.name]
        rest = f"; others: {', '.join(others)}" if others else "; there are no others"
        notify(f"{self.searcher.name} is searched{rest}")

    def _names(self) -> str:
        return textwrap.fill(", ".join(self._options), 60).replace("\n", "\n" + " " * 19)

    def _query(self, text: str) -> None:
        from astrosearch.cli import actions

        answer = actions.answer(self.searcher, self._question(text))
        for note in answer.notes:
            notify(note)
        self._show(answer, text)

    def _ask(self, text: str) -> None:
        """
        Raises:
            click.UsageError: if there is no question, or the format is none of an answer's.
            NothingFound: if nothing answers.
        """
        from astrosearch.cli.ask import asked, write
        from astrosearch.search.conversation import Conversation

        settings = self._settings
        if not text:
            raise click.UsageError('ask something: /ask "what heats cluster gas?"')
        output = {"table": "text", "json": "json"}.get(settings["output"])
        if output is None:
            raise click.UsageError(
                f"/ask cannot answer with --format {settings['output']}: write /format table or "
                "/format json"
            )
        if self._conversation is None:
            self._conversation = Conversation()
        question = self._question(text)
        is_default = settings["k"] == self._defaults["k"]
        answer = asked(
            self.searcher,
            self._conversation.ask,
            text,
            SENTENCES if is_default else settings["k"],
            question.filters,
            (settings["within"], settings["beyond"]),
        )
        self._papers = list(answer.sources)
        with suppress(click.exceptions.Exit):  # Ctrl-C: what there was is printed
            write(answer, self.searcher, self._load, output=output, reporter=self._reporter)

    def _load(self) -> "tuple[Generator, Sampling] | None":
        """The model that `/model` names, which stays in memory; None if it names none."""
        from astrosearch.completion.generators.base import GeneratorSpec, Sampling
        from astrosearch.completion.generators.loading import load_generator

        name = self._settings["model"]
        if name is None:
            return None
        if self._generator is None or self._generator[0] != name:
            self._generator = None  # two would fill the memory
            self._generator = name, load_generator(GeneratorSpec(name), self._reporter)
        return self._generator[1], Sampling()

    def _similar(self, names: list[str]) -> None:
        from astrosearch.cli import actions

        if not names:
            raise click.UsageError(
                "name a paper: /similar ID, or /similar N for paper N of the last answer"
            )
        ids = [self._id(name) for name in names]
        self._show(actions.similar(self.searcher, ids, self._question("")), " ".join(ids))

    def _question(self, text: str) -> "Question":
        from astrosearch.cli.actions import Question
        from astrosearch.corpus.filters import Filters

        settings = self._settings
        filters = Filters(**{name: settings[name] for name in Filters.__slots__})
        return Question(
            text,
            settings["k"],
            filters,
            settings["mode"],
            settings["sort"],
            settings["within"],
            settings["beyond"],
        )

    def _open(self, name: str) -> None:
        from astrosearch.cli.views.hits import write_paper

        write_paper(self._paper(name), format="table")

    def _open_page(self, name: str) -> None:
        from astrosearch.cli import actions

        paper = self._paper(name)
        page = actions.address(paper)
        actions.open_in_browser(page)
        notify(f"{page} is opened in your web browser")

    def _bibtex(self, names: list[str]) -> None:
        from astrosearch.cli.views.hits import write_papers

        papers = [self._paper(name) for name in names] or self._papers
        if not papers:
            raise click.UsageError("there is no answer yet: /bibtex ID gives a paper's entry")
        write_papers(papers, format="bibtex", key=self._settings["key"])

    def _paper(self, name: str) -> "Paper":
        if not name:
            raise click.UsageError("name a paper: its number in the last answer, or its identifier")
        return self.searcher.paper(self._id(name))

    def _id(self, name: str) -> str:
        """The identifier of paper N of the last answer, or of any form of an identifier."""
        from astrosearch.papers import parse_id

        if not name.isdecimal() or len(name) > 4:
            return parse_id(name).id
        if not self._papers:
            raise click.UsageError(f"there is no answer yet, so no paper {name}: ask first")
        if not 1 <= int(name) <= len(self._papers):
            raise click.UsageError(
                f"the last answer has papers 1 to {len(self._papers)}; there is no paper {name}"
            )
        return self._papers[int(name) - 1].id

    def _set(self, option: click.Option, value: str) -> None:
        """
        Raises:
            click.UsageError, InputError: if the option cannot have this value, or the filters
                cannot hold with it; the settings are then as before.
        """
        from astrosearch.errors import InputError

        name, earlier = str(option.name), self._settings
        if option.is_flag and value:
            raise click.UsageError(f"{self._slash(option)} takes no value: it switches on and off")
        if option.is_flag:
            chosen = not earlier[name]
        elif value:
            chosen = self._value(option, value)
        else:
            chosen = self._defaults[name]
        self._settings = {**earlier, name: chosen}
        try:
            self._question("")
        except InputError:
            self._settings = earlier
            raise

    def _value(self, option: click.Option, value: str) -> Any:
        """The value that a text stands for.

        Raises:
            click.UsageError: if it stands for none, in the words of the shell.
        """
        try:
            return option.type_cast_value(self._ctx, value)
        except click.UsageError as error:
            wanted = _wanted(option.type) or error.format_message().rstrip(".")
            raise click.UsageError(f"{self._slash(option)} {value}: {wanted}") from None

    def _slash(self, option: click.Option) -> str:
        """`/since`"""
        return next(f"/{name}" for name, known in self._options.items() if known is option)

    def _show(self, answer: "Answer", query: str) -> None:
        from astrosearch.cli.query import AnswerStyle, write_answer

        self._papers = [hit.paper for hit in answer.hits]
        style = AnswerStyle(*(self._settings[name] for name in STYLE))
        write_answer(answer, style, query=query, index=self.searcher.name)


def _wanted(type: click.ParamType[Any]) -> str:
    """What values a type has, in a clause; empty if its own message says it."""
    match type:
        case click.IntRange(min=least):
            return f"write a whole number from {least} on"
        case click.Choice(choices=choices):
            return f"write {', '.join(choices[:-1])} or {choices[-1]}"
        case _:
            return ""


def _converse(session: Shell) -> int:
    """Answer lines from a terminal, until Ctrl-D."""
    _prepare_line_editing(session)
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
            _remember(line)
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


def _prepare_line_editing(session: Shell) -> None:
    """The arrow keys go through earlier lines, and Tab completes."""
    from astrosearch.cli import history

    try:
        import readline
    except ImportError:  # on Windows, where the terminal edits lines by itself
        return
    offered: list[str] = []

    def complete(word: str, number: int) -> str | None:
        if number == 0:
            offered[:] = session.completions(readline.get_line_buffer()[: readline.get_endidx()])
        return offered[number] if number < len(offered) else None

    readline.set_completer_delims(" ")
    readline.set_completer(complete)
    # macOS has editline in place of readline.
    is_editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_editline else "tab: complete")
    for line in history.earlier():
        readline.add_history(line)


def _remember(line: str) -> None:
    from astrosearch.cli import history

    try:
        history.remember(line)
    except OSError as error:
        notify(f"astrosearch: this line could not be saved in the history: {error}")
