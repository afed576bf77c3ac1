"""`python -m training`."""

from pathlib import Path

import click


@click.group()
def main() -> None:
    """Make what astrosearch uses: fit and train on a corpus of abstracts."""


@main.command()
@click.argument("corpus", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="smollm2-135m", show_default=True)
@click.option("--layers", type=click.IntRange(min=1), help="Run only the first layers.")
@click.option("--dimension", type=click.IntRange(min=1), help="By default the model's width.")
@click.option("--papers", default=8000, show_default=True, help="Training papers to fit on.")
@click.option("--held-out", default=3000, show_default=True, help="Held-out papers to judge on.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the whitening here.")
def whiten(
    corpus: tuple[Path, ...],
    model: str,
    layers: int | None,
    dimension: int | None,
    papers: int,
    held_out: int,
    out: Path | None,
) -> None:
    """Fit a whitening on training papers and judge it on held-out ones."""
    from astrosearch.encoder import EncoderSpec
    from astrosearch.encoders import load_encoder
    from training.whitening import fit, judge, split_papers

    spec = EncoderSpec(model, layers=layers)
    encoder = load_encoder(spec, lambda line: click.echo(line, err=True))
    fitted_on, judged_on = split_papers(list(corpus), papers, held_out)
    whitening = fit(encoder, fitted_on, dimension or encoder.dimension)
    click.echo(f"{spec}; fitted on {len(fitted_on):,} papers, {len(judged_on):,} held out")
    for name, found in judge(encoder, judged_on, whitening).items():
        figures = (
            ("R@1", found.recall_at_1),
            ("R@10", found.recall_at_10),
            ("MRR", found.reciprocal_rank),
        )
        shown = "  ".join(
            f"{what} {value:.3f} [{a:.3f}, {b:.3f}]" for what, (value, a, b) in figures
        )
        click.echo(f"{name:12}{shown}")
    if out:
        whitening.save(out)
        click.echo(f"Wrote {out}, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
