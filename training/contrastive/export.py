"""The folder of a trained encoder: PEFT's files, the head, the spec, the record, log and card."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from astrosearch.encoders.head import HEAD
from astrosearch.encoders.registry import ENCODER
from training.adapter import Outcome, card, save_lora, write_record
from training.contrastive.model import EmbeddingModel
from training.log import Log
from training.settings import ContrastSettings


def write_encoder(
    folder: Path,
    model: EmbeddingModel,
    settings: ContrastSettings,
    revision: str,
    record: dict[str, Any],
    outcome: Outcome,
    log: Log,
) -> None:
    """Write an adapter that `astrosearch index --encoder FOLDER` takes.

    Args:
        revision: fingerprint of the base's weights.
        record: corpus, papers, relations and requests of the run.
    """
    save_lora(folder, model.body, settings.base)
    arrays = {
        "mean": model.mean.detach().cpu().numpy(),
        "projection": model.projection.detach().cpu().numpy(),
    }
    if model.log_weights is not None:
        arrays["token_weights"] = model.log_weights.detach().exp().cpu().numpy()
    save_file(
        {name: np.ascontiguousarray(array, dtype=np.float16) for name, array in arrays.items()},
        folder / HEAD,
    )
    write_record(folder, settings.as_record(), revision, record, outcome, log)
    (folder / ENCODER).write_text(json.dumps(settings.spec.as_record(), indent=1) + "\n")
    (folder / "README.md").write_text(_card(settings, revision, record, outcome, log))


def _card(
    settings: ContrastSettings, revision: str, record: dict[str, Any], outcome: Outcome, log: Log
) -> str:
    losses = [entry.held_out_loss for entry in log.entries() if entry.held_out_loss is not None]
    held_out = ""
    teacher = f" It learnt from {settings.teacher} too." if settings.teacher else ""
    if losses:
        held_out = (
            f" On {settings.evaluation_pairs} pairs of held-out papers the loss went from "
            f"{losses[0]:.3f} to {losses[-1]:.3f}."
        )
    return card(
        settings.base,
        "An encoder of astronomy papers",
        f"""Made by `astrosearch train contrast` from {settings.base} (revision {revision}): texts
that belong together lie near each other. Use it with `astrosearch index --encoder FOLDER`. The
linear map behind the mean and the token weights are in `{HEAD}`.""",
        f"""{record["papers"]:,} training papers of arXiv (sha256 of the corpus
{record["corpus"]}); one paper in five is held out by a hash of its identifier.
{record["relations"]:,} relations between papers and {record["requests"]:,} requests were
given.{teacher}""",
        f"""{outcome.steps * settings.batch:,} pairs, {outcome.tokens:,} tokens, in
{outcome.steps:,} steps; mean training loss {outcome.training_loss:.3f} nats.{held_out}""",
        settings.as_record(),
        outcome,
    )
