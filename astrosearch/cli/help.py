"""`astrosearch help`, `astrosearch version`, and what a bare `astrosearch` says."""

import click

from astrosearch import __version__
from astrosearch.cli.console import write


@click.command("help")
@click.argument("command", nargs=-1)
@click.option("--man", is_flag=True, help="Write the manual page of all commands, in roff.")
@click.pass_context
def help_command(ctx: click.Context, command: tuple[str, ...], man: bool) -> None:
    """Show the help of a command.

    \b
    astrosearch help
    astrosearch help query
    astrosearch help indexes tune
    astrosearch help --man | man -l -
    astrosearch help --man > ~/.local/share/man/man1/astrosearch.1
    """
    root = ctx.find_root()
    if man:
        from astrosearch.cli.manual import manual

        write(manual(root))
        return
    for name in command:
        group = root.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{root.command_path} has no command {name!r}")
        _, inner, _ = group.resolve_command(root, [name])
        if inner is not None:
            root = click.Context(inner, info_name=inner.name, parent=root)
    write(root.get_help())


@click.command(hidden=True)
def version() -> None:
    """Show the version."""
    write(f"astrosearch, version {__version__}")


def write_first_words() -> None:
    """What to do next: to build an index, or to ask those that are there."""
    from astrosearch import paths

    names = paths.index_names()
    if not names:
        write(
            "astrosearch finds astronomy papers by meaning. There is no index yet.\n"
            "Build one of the papers that come with astrosearch, in some seconds:\n\n"
            "  astrosearch index\n\n"
            "All commands: astrosearch --help"
        )
        return
    rest = f" (used unless --index names another), {', '.join(names[1:])}" if names[1:] else ""
    write(
        f"{'Indexes' if names[1:] else 'Index'}: {names[0]}{rest}\n\n"
        '  astrosearch query "tidal tails of dwarf galaxies"\n'
        '  astrosearch query "stellar streams" --since 2018 --format bibtex\n'
        "  astrosearch browse     search and read on the full screen\n"
        "  astrosearch shell      ask line by line\n\n"
        "All commands: astrosearch --help"
    )
