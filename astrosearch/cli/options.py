"""Options that several commands share: one spelling for one meaning, in all of them.

    @click.command()
    @format_option("table", "json")          # --format, as the parameter `output`
    @index_option                            # -i, --index, as `index_name`
    def show(output: str, index_name: str | None) -> None: ...

A command whose subject is an index, as `astrosearch indexes info NAME`, has `index_argument`
instead: NAME and --index NAME both work. A renamed option stays understood by `old_spelling`.
"""

import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import click

from astrosearch.cli.console import notify

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from astrosearch.cli.actions import Part
    from astrosearch.papers import Paper

FORMATS = ("table", "json", "jsonl", "csv", "bibtex", "ris", "csl-json", "markdown", "ids")
"""How answers may be written; the same as in `config.CHOICES`, which takes longer to import."""

ENTRIES = ("bibtex", "ris", "csl-json", "markdown", "ids")
"""Those of them that have papers alone, not what is said of them in an answer."""

KEYED = ("bibtex", "csl-json")
"""Those whose papers have a key to be cited by."""

INDEX = "astrosearch.index"
"""Where a context's `meta` has the name of the index that the command is about: an error's remedy
names it."""

Command = Callable[..., Any]


class _OldSpelling(click.Option):
    """Hands what it is given to the option that has its place now, and says so in a line."""

    def __init__(
        self,
        *arguments: Any,
        new: str,
        param: str,
        value: Any,
        values: Mapping[str, str],
        **rest: Any,
    ) -> None:
        super().__init__(*arguments, **rest)
        self._new, self._param, self._value, self._values = new, param, value, values

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        if self.name in opts:
            notify(f"{self.opts[0]} is now {self._new}")
            parsed = cast(dict[str, Any], opts)  # the parser's own, which the new option reads next
            given = parsed.pop(str(self.name))
            value = self._values.get(given, given) if self._value is None else self._value
            parsed.setdefault(self._param, value)
        return super().handle_parse_result(ctx, opts, args)


def old_spelling(
    old: str,
    *,
    new: str,
    param: str,
    value: Any = None,
    values: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Command], Command]:
    """An option that was renamed: not in the help, still understood, with a line on stderr.

    `old_spelling("--json", new="--format json", param="output", value="json")` makes `--json` do
    what `--format json` does; without `value`, the old option takes one and hands it on:
    `old_spelling("--spelling", new="--normalization", param="normalization")`.

    Args:
        param: the parameter that the new option sets.
        value: what it is set to, if the old option was a flag.
        values: the new names of values that were renamed too.
    """
    # The type is the new option's business.
    rest: dict[str, Any] = {"type": click.UNPROCESSED} if value is None else {"is_flag": True}
    rest |= {"hidden": True, "is_eager": True, "expose_value": False}
    name = "old_" + old.lstrip("-").replace("-", "_")
    return click.option(
        old, name, cls=_OldSpelling, new=new, param=param, value=value, values=values, **rest
    )


class _Format(click.Choice[str]):
    """A choice of formats, to which `text` is an old name of `table`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "text" and "table" in self.choices:
            notify("--format text is now --format table")
            value = "table"
        return super().convert(value, param, ctx)


def format_option(
    *choices: str, default: str = "table", help: str = "How the output is written."
) -> Callable[[Command], Command]:
    """`--format`, as the parameter `output`; where there is a `json`, `--json` is understood."""

    def decorate(command: Command) -> Command:
        if "json" in choices:
            command = old_spelling("--json", new="--format json", param="output", value="json")(
                command
            )
        return click.option(
            "--format",
            "output",
            type=_Format(choices),
            default=default,
            show_default=True,
            help=help,
        )(command)

    return decorate


def count_option(help: str, default: int = 10) -> Callable[[Command], Command]:
    """`-k` and `--count`, as the parameter `k`."""
    return click.option(
        "-k",
        "--count",
        "k",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help=help,
    )


def _complete_index(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The names of indexes that a shell offers at the Tab key."""
    from click.shell_completion import CompletionItem

    from astrosearch import paths

    return [CompletionItem(name) for name in paths.index_names() if name.startswith(incomplete)]


def remember_index(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """For an error's remedy, the index that the command is about.

    Raises:
        UsageError: if it has an empty name, as an unset variable of a shell gives.
    """
    if value == "":
        raise click.UsageError("the name of an index is empty", ctx)
    ctx.meta[INDEX] = value
    return value


def index_option(command: Command) -> Command:
    """`-i` and `--index`, as the parameter `index_name`; None means the index built last."""
    return click.option(
        "-i",
        "--index",
        "index_name",
        metavar="NAME",
        envvar="ASTROSEARCH_INDEX",
        callback=remember_index,
        shell_complete=_complete_index,
        help="The index to use; by default the one built last.",
    )(command)


def served_indexes_option(command: Command) -> Command:
    """`-i` and `--index`, repeated, as the parameter `index_names`; none means all indexes."""

    def check(
        ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
    ) -> tuple[str, ...]:
        for value in values:
            remember_index(ctx, param, value)
        return values

    return click.option(
        "-i",
        "--index",
        "index_names",
        metavar="NAME",
        multiple=True,
        envvar="ASTROSEARCH_INDEX",
        callback=check,
        shell_complete=_complete_index,
        help="Serve this index; may be repeated, and questions that name none go to the first. "
        "By default all are served, and the first is the one built last.",
    )(command)


def was_given(name: str) -> bool:
    """Whether a parameter is on the command line, not left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source == click.core.ParameterSource.COMMANDLINE


def index_argument(command: Command) -> Command:
    """NAME or `--index NAME`, as the parameter `index_name`; None means the index built last."""
    help = "The same as NAME; by default the index built last."
    return _index_argument(command, help=help, envvar="ASTROSEARCH_INDEX")


def required_index_argument(command: Command) -> Command:
    """The same for what cannot be undone: the index has to be named in the command."""
    return _index_argument(command, help="The same as NAME.", required=True)


def new_index_argument(command: Command) -> Command:
    """The same for an index that need not exist yet; None where it is not named."""
    return _index_argument(command, help="The same as NAME.")


def _index_argument(
    command: Command, *, help: str, required: bool = False, envvar: str | None = None
) -> Command:
    def keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        ctx.meta[INDEX] = value

    def merge(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        option = ctx.meta[INDEX]
        if value and option and was_given("index_option"):
            raise click.UsageError(f"two indexes are named, {value} and {option}; name one")
        name = option if value is None else value
        if required and name is None and not ctx.resilient_parsing:
            raise click.MissingParameter(ctx=ctx, param=param)
        return remember_index(ctx, param, name)

    command = click.option(
        "-i",
        "--index",
        "index_option",
        metavar="NAME",
        envvar=envvar,
        callback=keep,
        is_eager=True,
        expose_value=False,
        shell_complete=_complete_index,
        help=help,
    )(command)
    return click.argument(
        "index_name",
        metavar="NAME" if required else "[NAME]",
        required=False,
        callback=merge,
        shell_complete=_complete_index,
    )(command)


class Day(click.ParamType[date]):
    """YYYY, YYYY-MM or YYYY-MM-DD. A year or a month stands for its first day, or its last."""

    name = "date"

    def __init__(self, *, last: bool = False) -> None:
        self._last = last

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            if not re.fullmatch(r"\d{4}(-\d\d?){0,2}", value, re.ASCII):
                raise ValueError
            parts = [int(part) for part in value.split("-")]
            if len(parts) == 3:
                return date(*parts)
            year, month = [*parts, 12 if self._last else 1][:2]
            if not self._last:
                return date(year, month, 1)
            following = date(year + month // 12, month % 12 + 1, 1)
            return date.fromordinal(following.toordinal() - 1)
        except (ValueError, TypeError):
            self.fail(f"{value!r} is not a date: write YYYY-MM-DD, YYYY-MM or YYYY", param, ctx)


def mode_option(command: Command) -> Command:
    return click.option(
        "--mode",
        type=click.Choice(["hybrid", "dense", "lexical"]),
        default="hybrid",
        show_default=True,
        help="Search by meaning and words (hybrid), by meaning (dense) or by words (lexical).",
    )(command)


def ranker_option(command: Command) -> Command:
    return click.option(
        "--ranker",
        type=click.Choice(["learnt", "mean"]),
        default="learnt",
        show_default=True,
        help="Order hits by all that was learnt, or by the mean of cosine and BM25.",
    )(command)


CROSS_ENCODER = "cross-encoder"


def rerank_option(command: Command) -> Command:
    return click.option(
        "--rerank",
        metavar="[openai:MODEL]",
        is_flag=False,
        flag_value=CROSS_ENCODER,
        callback=_reranker_name,
        help="Read the first 30 hits, and order them anew: with a small model that comes with "
        "astrosearch, or with a chat model of a service.",
    )(command)


def expand_option(command: Command) -> Command:
    return click.option(
        "--expand",
        metavar="openai:MODEL",
        callback=_service_model,
        help="Search also by the meaning of an abstract that a chat model of a service makes up.",
    )(command)


def _service_model(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or value.startswith("openai:"):
        return value
    raise click.BadParameter(f"{value!r} is not openai:MODEL", param=parameter)


def _reranker_name(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or value == CROSS_ENCODER or value.startswith("openai:"):
        return value
    raise click.BadParameter(
        f"{value!r} is not openai:MODEL; write --rerank alone behind the text",
        param=parameter,
    )


def typed_text(words: tuple[str, ...]) -> str:
    """The words of a command line as one text; `-` alone stands for standard input. Bytes that are
    not UTF-8 become ?."""
    typed = sys.stdin.read() if words == ("-",) else " ".join(words)
    return typed.encode(errors="replace").decode()


def date_options(command: Command) -> Command:
    command = click.option(
        "--until",
        type=Day(last=True),
        help="Only papers up to this date: YYYY, YYYY-MM or YYYY-MM-DD.",
    )(command)
    return click.option("--since", type=Day(), help="Only papers from this date on.")(command)


def selection_options(command: Command) -> Command:
    """The fields of `corpus.intake.Selection`, and `strict`."""

    @functools.wraps(command)
    def checked(**options: Any) -> Any:
        if options["primary_only"] and options["category"] is None:
            raise click.UsageError("--primary-only needs --category")
        if was_given("seed") and options["sample"] is None:
            raise click.UsageError("--seed needs --sample")
        return command(**options)

    decorated: Command = checked
    for decorate in (
        click.option(
            "--strict", is_flag=True, help="Stop at the first line that cannot be read as a paper."
        ),
        seed_option("For --sample."),
        click.option(
            "--sample", type=click.IntRange(min=1), help="Take this many papers at random."
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Stop after this many papers."),
        date_options,
        click.option("--primary-only", is_flag=True, help="Look only at a paper's first category."),
        click.option(
            "--category",
            metavar="CAT",
            help="Only papers of this category or archive, as astro-ph.GA or astro-ph.",
        ),
    ):
        decorated = decorate(decorated)
    return decorated


def filter_options(command: Command) -> Command:
    for decorate in (
        click.option(
            "--author",
            metavar="NAME",
            help='Only papers of this author: "Hofmann", "Hofmann, F", "^Hofmann" as the first.',
        ),
        click.option(
            "--category", metavar="CAT", help="Only papers of this category, as astro-ph.GA."
        ),
        date_options,
    ):
        command = decorate(command)
    return command


def complete_paper(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The papers of the last answer, and those of the library, that a shell offers."""
    from click.shell_completion import CompletionItem

    from astrosearch import paths
    from astrosearch.errors import AstrosearchError
    from astrosearch.library.store import Library

    try:
        last = paths.last_answer_file().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        last = []
    try:
        own = [paper.id for paper in Library.read().papers]
    except AstrosearchError:
        own = []
    names = dict.fromkeys((*last, *own))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_scope(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    from astrosearch.errors import AstrosearchError
    from astrosearch.library.store import Library

    try:
        tags = [f"tag:{tag}" for tag in Library.read().tags()]
    except AstrosearchError:
        tags = []
    names = ["library", "liked", "disliked", "read", "unread", *tags]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def library_options(command: Command) -> Command:
    """`--in` and `--not-in`, as the parameters `within` and `beyond`."""
    command = click.option(
        "--not-in",
        "beyond",
        metavar="WHAT",
        shell_complete=complete_scope,
        help="Only papers that are not there.",
    )(command)
    return click.option(
        "--in",
        "within",
        metavar="WHAT",
        shell_complete=complete_scope,
        help="Only papers of your library: library, tag:NAME, liked, disliked, read or unread.",
    )(command)


def library_scope(command: Command) -> Command:
    """`--in`, as the parameter `within`, where the library is the subject; by default all of it."""
    return click.option(
        "--in",
        "within",
        metavar="WHAT",
        default="library",
        show_default=True,
        shell_complete=complete_scope,
        help="Which papers: library, tag:NAME, liked, disliked, read or unread.",
    )(command)


def sort_option(command: Command) -> Command:
    return click.option(
        "--sort",
        type=click.Choice(["match", "date", "citations"]),
        default="match",
        show_default=True,
        help="The order of the papers found: the best, the newest or the most cited first.",
    )(command)


def key_option(command: Command) -> Command:
    """`--key`, as the parameter `key`; None means bibcodes."""
    return click.option(
        "--key",
        type=click.Choice(["bibcode", "author-year"]),
        show_default="bibcode",
        help="How BibTeX entries are called: 2019ApJ...876...85R or Riess2019.",
    )(command)


def answer_options(command: Command) -> Command:
    for decorate in (
        key_option,
        click.option(
            "--explain", is_flag=True, help="Show in the table what gave each paper its place."
        ),
        click.option("--abstracts", is_flag=True, help="Show the abstracts in the table."),
        format_option(*FORMATS, help="In a pipe, a table is tab-separated lines."),
        count_option("How many papers to show."),
    ):
        command = decorate(command)
    return command


PARTS = ("bibtex", "id", "title", "address")
"""What `--copy` copies of papers: `actions.Part`."""


class _Place(click.IntRange):
    name = "number"


class _Alone(click.ParamType[Any]):
    """The value of an option that also stands alone, of which its message reminds."""

    def __init__(self, option: str, type: click.ParamType[Any]) -> None:
        self.name, self._option, self._type = type.name, option, type

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self._type.get_metavar(param, ctx)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._type.convert(value, param, ctx)
        except click.BadParameter as error:
            alone = f"to use {self._option} alone, write it behind the text"
            self.fail(f"{error.message.rstrip('.')}; {alone}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        return self._type.shell_complete(ctx, param, incomplete)


def going_on(command: Callable[..., "Sequence[Paper]"]) -> Command:
    """`--open` and `--copy`, for a command that returns the papers that it has shown."""

    @functools.wraps(command)
    def shown(*, opened: int | None, copied: "Part | None", **options: Any) -> None:
        papers = command(**options)
        if opened is None and copied is None:
            return
        from astrosearch.cli import actions

        actions.go_on(papers, opened, copied, options.get("key"))

    decorated: Command = shown
    for decorate in (
        click.option(
            "--copy",
            "copied",
            type=_Alone("--copy", click.Choice(PARTS)),
            is_flag=False,
            flag_value=PARTS[0],
            help="Copy what is shown to the clipboard; by default as BibTeX.",
        ),
        click.option(
            "--open",
            "opened",
            metavar="[N]",
            type=_Alone("--open", _Place(min=1)),
            is_flag=False,
            flag_value="1",
            help="Open the page of paper N in your web browser; by default of the first.",
        ),
    ):
        decorated = decorate(decorated)
    return decorated


def seed_option(what: str) -> Callable[[Command], Command]:
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help=what
    )


GENERATOR = ("adapter", "temperature", "max_new_tokens", "seed", "quantize", "device", "dtype")
"""The parameters of `generator_options` beside `model`."""


def generator_options(default: str) -> Callable[[Command], Command]:
    """Which language model writes, and how: the parameter `model` and those of `GENERATOR`.

    Args:
        default: what is taken without --model, in a clause.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def checked(**options: Any) -> Any:
            if options["adapter"] and not options["model"]:
                raise click.UsageError("--adapter needs --model")
            return command(**options)

        decorated: Command = checked
        for option in (
            click.option(
                "--dtype",
                type=click.Choice(["float32", "bfloat16", "float16"]),
                help="Number format of the model; by default what the device is fast with.",
            ),
            click.option("--device", help="cuda, mps or cpu; by default the best there is."),
            click.option(
                "--quantize",
                type=click.Choice(["4bit", "8bit"]),
                help="Load the weights in 4 or 8 bits.",
            ),
            seed_option("Seed of the sampling."),
            click.option(
                "--max-new-tokens",
                type=click.IntRange(min=1),
                default=1024,
                show_default=True,
                help="Stop after this many tokens.",
            ),
            click.option(
                "--temperature",
                type=click.FloatRange(min=0),
                default=0.3,
                show_default=True,
                help="0 is deterministic; higher varies more.",
            ),
            click.option("--adapter", metavar="ADAPTER", help="A PEFT adapter on --model."),
            click.option(
                "--model",
                metavar="MODEL",
                help="A model's name, hub id, folder or .gguf file, or openai:NAME; " + default,
            ),
        ):
            decorated = option(decorated)
        return decorated

    return decorate


def service_options(command: Command) -> Command:
    """How an OAI-PMH service is asked, as the parameters `base_url` and `pause`."""
    command = click.option(
        "--pause",
        type=click.FloatRange(min=0),
        default=3,
        show_default=True,
        metavar="SECONDS",
        help="Seconds between requests; arXiv's terms of use ask for 3.",
    )(command)
    return click.option(
        "--base-url",
        envvar="ASTROSEARCH_OAI_URL",
        show_envvar=True,
        default="https://oaipmh.arxiv.org/oai",
        show_default=True,
        help="The OAI-PMH service.",
    )(command)


def kind_option(command: Command) -> Command:
    return click.option(
        "--kind",
        metavar="KIND",
        help="How nearest vectors are searched: auto, flat (exact), sq8, pq4, ivf, hnsw, pq, "
        "rabitq or a string for faiss.index_factory.",
    )(command)


class Bytes(click.ParamType[int]):
    """A number of bytes, as 500MB or 1.5GB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]?)B", value, re.ASCII | re.IGNORECASE)
        if not match:
            self.fail(f"{value!r} is not a size: write 500MB or 1.5GB", param, ctx)
        return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def consent_option(command: Command) -> Command:
    return click.option(
        "--yes",
        is_flag=True,
        help="Agree to what is sent to a service, and to its cost, without being asked.",
    )(command)
