"""The command line: a module a command; each one parses, calls, renders.

Only click is imported here and at the top of the command modules: `astrosearch --help` must
answer at once, so what is heavy is imported in the body of the command that needs it.
"""

import os
from typing import Any

import click

from astrosearch import __version__
from astrosearch.cli import (
    ask,
    browse,
    citations,
    cite,
    compare,
    complete,
    completion,
    config,
    corpus,
    doctor,
    evaluate,
    index,
    indexes,
    library,
    map,
    mcp,
    models,
    new,
    query,
    refs,
    searches,
    serve,
    shell,
    show,
    update,
)
from astrosearch.cli import help as help_
from astrosearch.cli.group import MainGroup

# numpy's threads would go on spinning for milliseconds after a product, and on a laptop's two cores
# that is time taken from what comes after it.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


@click.group(
    "astrosearch",
    cls=MainGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="astrosearch")
@click.option(
    "--debug", is_flag=True, envvar="ASTROSEARCH_DEBUG", help="Show the traceback of any error."
)
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """Find astronomy papers by meaning.

    \b
    astrosearch index                        index the papers that come with it
    astrosearch query "magellanic stream"    search them
    astrosearch help query                   show the help of a command
    """
    if ctx.invoked_subcommand is None:
        help_.write_first_words()
    elif ctx.invoked_subcommand != "config":
        ctx.default_map = _settings_for(ctx, ctx.invoked_subcommand)


def _settings_for(ctx: click.Context, name: str) -> dict[str, Any]:
    """The defaults that the user's settings give a command. Where there are none, nothing is
    imported."""
    from astrosearch import paths

    command = main.get_command(ctx, name)
    if command is None or not paths.config_file().exists():
        return {}
    from astrosearch.cli.config import defaults_of
    from astrosearch.cli.console import notify
    from astrosearch.config import read_config

    settings = read_config()
    for problem in settings.problems:
        notify(problem)
    return {name: defaults_of(command, settings)}


for _command in (
    index.index,
    update.update,
    query.query,
    query.similar,
    cite.cite,
    refs.refs,
    ask.ask,
    browse.browse,
    shell.shell,
    show.show,
    map.map_,
    serve.serve,
    mcp.mcp,
    compare.compare,
    complete.complete,
    indexes.indexes,
    citations.citations,
    library.library,
    new.new,
    searches.save,
    searches.run,
    searches.searches,
    searches.forget,
    config.config,
    evaluate.evaluate,
    corpus.corpus,
    models.models,
    doctor.doctor,
    completion.completion,
    help_.help_command,
    help_.version,
):
    main.add_command(_command)
