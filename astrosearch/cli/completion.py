"""`astrosearch completion`: the Tab key of a shell."""

import os

import click

from astrosearch.cli.console import write

if os.environ.get("_ASTROSEARCH_COMPLETE", "").startswith("bash"):  # the Tab key was pressed
    from click.shell_completion import add_completion_class

    from astrosearch.cli.bash import ColonBash

    add_completion_class(ColonBash)

CHANGES = (
    # A .zshrc need not have started zsh's completion. -i: nothing is asked when a shell is opened.
    (
        "#compdef astrosearch\n",
        "#compdef astrosearch\n\n"
        "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n",
    ),
    # For fish: descriptions have commas, too.
    ('string split ","', 'string split --max 1 ","'),
)
"""What click's scripts lack."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Complete words at the Tab key of a shell.

    Writes a script for the shell. With it, commands and options are completed, names of indexes,
    saved searches and tags, and the papers of the last answer and of your library. They are in the
    next shell that you open.

    \b
    astrosearch completion bash >> ~/.bashrc
    astrosearch completion zsh >> ~/.zshrc
    mkdir -p ~/.config/fish/completions
    astrosearch completion fish > ~/.config/fish/completions/astrosearch.fish
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"click completes nothing in {shell}")
    root = ctx.find_root().command
    source = script(root, {}, "astrosearch", "_ASTROSEARCH_COMPLETE").source()
    for of_click, ours in CHANGES:
        source = source.replace(of_click, ours)
    write(source)
