"""`astrosearch models`: the encoders known by name, and which are on this machine."""

import click

from astrosearch.cli.console import Terminal, notify, write
from astrosearch.cli.group import ListGroup
from astrosearch.cli.options import format_option


@click.group(cls=ListGroup)
def models() -> None:
    """List the known models, or fetch one.

    \b
    astrosearch models
    astrosearch models --format json
    astrosearch models fetch minilm
    """


@models.command("list")
@format_option("table", "json")
def list_models(output: str) -> None:
    """List the known models.

    \b
    astrosearch models list
    astrosearch models list --format json
    """
    from astrosearch.cli.views.hits import as_json
    from astrosearch.cli.views.tables import write_table
    from astrosearch.encoders.registry import DEFAULT, DEFAULT_ENCODER, KNOWN
    from astrosearch.encoders.weights.locate import is_here
    from astrosearch.encoders.weights.wheel import has_tokens

    records: list[dict[str, object]] = [
        {
            "name": DEFAULT_ENCODER,
            "default": True,
            "fetched": has_tokens(KNOWN[DEFAULT]),
            "size_mb": 10,
            "licence": "MIT",
            "gated": False,
            "source": f"astrosearch, over {DEFAULT}",
            "summary": "trained to find astronomy papers",
        }
    ]
    records += [
        {
            "name": model.name,
            "default": False,
            "fetched": is_here(model),
            "size_mb": model.size_mb,
            "licence": model.licence,
            "gated": model.gated,
            "source": model.wheel or model.hub,
            "summary": model.summary,
        }
        for model in KNOWN.values()
    ]
    if output == "json":
        write(as_json(records, indent=True))
        return
    rows = [
        (
            f"{record['name']}{' (default)' if record['default'] else ''}",
            "yes" if record["fetched"] else "no",
            f"{record['size_mb']:,} MB",
            f"{record['licence']}{', gated' if record['gated'] else ''}",
            f"{record['source']}",
            f"{record['summary']}",
        )
        for record in records
    ]
    write_table(("model", "fetched", "size", "licence", "source", "what"), rows, right=(2,))
    notify(
        "An encoder may also be a Hugging Face id (owner/name), a folder or a .gguf file. For a "
        "gated model, accept its licence on its page at huggingface.co, then: hf auth login"
    )


@models.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download a model now, to work without network later.

    \b
    astrosearch models fetch minilm
    """
    from astrosearch.encoders.registry import encoder_spec
    from astrosearch.encoders.weights.locate import resolve

    spec, folder, _ = resolve(encoder_spec(name), Terminal())
    write(f"{name} (revision {spec.revision}) is in {folder}")
