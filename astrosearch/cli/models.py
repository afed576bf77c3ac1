"""`astrosearch models`: the encoders known by name, and which are on this machine."""

import click

from astrosearch.cli.console import Terminal, write


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the models known by name, or fetch one.

    \b
    astrosearch models
    astrosearch models fetch minilm
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list")
def list_models() -> None:
    """List the models known by name."""
    from astrosearch.cli.views.hits import write_table
    from astrosearch.encoders.registry import DEFAULT, DEFAULT_ENCODER, KNOWN
    from astrosearch.encoders.weights.locate import is_here
    from astrosearch.encoders.weights.wheel import has_tokens

    rows = [
        (
            f"{DEFAULT_ENCODER} (default)",
            "yes" if has_tokens(KNOWN[DEFAULT]) else "no",
            "10 MB",
            "MIT",
            f"astrosearch, over {DEFAULT}",
            "trained to find astronomy papers",
        )
    ]
    rows += [
        (
            model.name,
            "yes" if is_here(model) else "no",
            f"{model.size_mb:,} MB",
            model.licence + (", gated" if model.gated else ""),
            model.wheel or model.hub,
            model.summary,
        )
        for model in KNOWN.values()
    ]
    write_table(("model", "here", "size", "licence", "from", "what"), rows, right=(2,))
    click.echo(
        "Any hub id (owner/name), folder or .gguf file will do too. A gated model needs an account "
        "that has accepted its licence: hf auth login",
        err=True,
    )


@models.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch a model now, for work without network later."""
    from astrosearch.encoders.registry import encoder_spec
    from astrosearch.encoders.weights.locate import resolve

    spec, folder, _ = resolve(encoder_spec(name), Terminal())
    write(f"{name} (revision {spec.revision}) is in {folder}")
