"""Perplexity of a base and its adapters on held-out papers, and the paper's Figure 1."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astrosearch.completion.language_model import attach_adapter, load_language_model
from astrosearch.completion.perplexity import Losses, losses_of, reduction
from astrosearch.encoders.weights.locate import locate_adapter
from astrosearch.errors import InputError
from astrosearch.report import Reporter
from training.lm.abstracts import Prepared, blocks_of, held_out_abstracts
from training.log import Log


@dataclass(frozen=True, slots=True)
class ModelPerplexity:
    """One model's perplexity; a line of the table."""

    name: str
    blocks: float
    """Perplexity on packed blocks, [BOS] and [EOS] counted."""
    abstracts: float
    """Perplexity of single abstracts behind [BOS], without their [EOS]."""
    blocks_reduction: tuple[float, float, float] | None
    """Against the base, as a share: value and 95 % interval over blocks. None for the base."""
    abstracts_reduction: tuple[float, float, float] | None
    """The same over papers."""


def perplexity(
    base: str,
    adapters: Sequence[str],
    data: Path,
    reporter: Reporter,
    *,
    device: torch.device,
    dtype: torch.dtype,
    papers: int | None = 200,
    blocks: int | None = 64,
    seed: int = 0,
) -> list[ModelPerplexity]:
    """Perplexity of the base and of each adapter on the same held-out texts.

    Args:
        papers: how many held-out abstracts, drawn by `seed`; None for all.
        blocks: how many held-out blocks; None for all.

    Raises:
        InputError: if the data are not this base's, or an adapter is another base's.
    """
    prepared = Prepared.read(data)
    model = load_language_model(base, reporter, device=device, dtype=dtype)
    prepared.check(data, model)
    packed = [
        row["input_ids"][: row["length"]] for row in _sample(blocks_of(data, "test"), blocks, seed)
    ]
    single = [row["input_ids"][:-1] for row in _sample(held_out_abstracts(data), papers, seed)]
    texts = packed + single
    task = "Reading texts"
    in_all = len(texts) * (1 + len(adapters))
    first = len(packed)
    bare = losses_of(model, texts, lambda done: reporter.progress(task, done, in_all))
    lines = [ModelPerplexity(base, *_both(bare, first), None, None)]
    for number, name in enumerate(adapters, start=1):
        before = number * len(texts)
        attached = attach_adapter(model.model, base, model.revision, name, reporter).eval()
        losses = losses_of(
            replace(model, model=attached),
            texts,
            lambda done, before=before: reporter.progress(  # type: ignore[misc]
                task, before + done, in_all
            ),
        )
        lines.append(
            ModelPerplexity(
                name,
                *_both(losses, first),
                reduction(_part(bare, 0, first), _part(losses, 0, first), seed),
                reduction(_part(bare, first), _part(losses, first), seed),
            )
        )
        attached.unload()  # the next adapter gets the bare base
    return lines


def plot(logs: Sequence[tuple[str, Path]], base: str, out: Path) -> None:
    """Figure 1 of the paper: perplexity over tokens seen, and the base as a line across.

    Args:
        logs: name and log.csv of each adapter.
        out: .png, .svg or .pdf.

    Raises:
        InputError: if a log is missing or has no held-out losses.
    """
    from astrosearch.comparison.figure import COLOURS, drawn

    with drawn(out) as axes:
        for (name, path), colour in zip(logs, COLOURS * len(logs), strict=False):
            entries = Log(path).entries()
            held_out = [entry for entry in entries if entry.held_out_loss is not None]
            if not held_out:
                raise InputError(f"{path} has no held-out losses to draw")
            steps = [entry for entry in entries if entry.loss is not None]
            axes.plot(
                [entry.tokens / 1e6 for entry in steps],
                [entry.perplexity for entry in steps],
                color=colour,
                alpha=0.3,
                linewidth=0.8,
                label=f"{name}, training batches",
            )
            axes.plot(
                [entry.tokens / 1e6 for entry in held_out],
                [entry.perplexity for entry in held_out],
                color=colour,
                marker="o",
                markersize=3,
                label=f"{name}, held-out papers",
            )
        axes.axhline(
            held_out[0].perplexity, color="0.3", linestyle="--", label=f"{base}, held-out papers"
        )
        axes.set_xlabel("Tokens seen (millions)")
        axes.set_ylabel("Perplexity")
        axes.legend(
            frameon=False, loc="lower right", bbox_to_anchor=(1, 1)
        )  # above the axes, over no line


def log_of(adapter: str, reporter: Reporter) -> Path:
    """An adapter's log.csv.

    Raises:
        InputError: if it has none.
    """
    folder, _ = locate_adapter(adapter, reporter)
    path = folder / "log.csv"
    if not path.exists():
        raise InputError(
            f"{adapter} holds no log.csv: it is not a language-model adapter trained here"
        )
    return path


def _sample(rows: Any, count: int | None, seed: int) -> list[Any]:
    if count is None or count >= len(rows):
        return list(rows)
    drawn = np.random.default_rng(seed).choice(len(rows), size=count, replace=False)
    return list(rows.select(np.sort(drawn)))


def _part(losses: Losses, first: int, last: int | None = None) -> Losses:
    return Losses(losses.total[first:last], losses.tokens[first:last])


def _both(losses: Losses, first: int) -> tuple[float, float]:
    return _part(losses, 0, first).perplexity, _part(losses, first).perplexity
