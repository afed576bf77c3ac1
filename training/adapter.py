"""The folder of a trained adapter: PEFT's files, the settings, the log and a card."""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import transformers

from astrosearch import __version__
from astrosearch.encoders.adapters import TRAINED_ON
from astrosearch.encoders.hugging_face import quiet_transformers
from training.lm.abstracts import Prepared
from training.log import Log
from training.settings import FinetuneSettings


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run, in figures."""

    steps: int
    tokens: int
    training_loss: float
    """Mean over the steps, in nats."""
    seconds: float
    machine: str

    @classmethod
    def of(cls, log: Log, device: torch.device) -> "Outcome":
        """From the log of a finished run."""
        steps = [entry for entry in log.entries() if entry.loss is not None]
        losses = [entry.loss for entry in steps if entry.loss is not None]
        last = steps[-1]
        return cls(last.step, last.tokens, fmean(losses), last.seconds, machine(device))


def machine(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    name = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        for line in cpus.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}"


def write_adapter(
    folder: Path,
    model: Any,
    settings: FinetuneSettings,
    prepared: Prepared,
    outcome: Outcome,
    log: Log,
) -> None:
    """Write the folder of a language-model adapter."""
    save_lora(folder, model, settings.base)
    data = asdict(prepared)
    write_record(folder, settings.as_record(), prepared.base_revision, data, outcome, log)
    (folder / "README.md").write_text(_card(settings, prepared, outcome, log))


def save_lora(folder: Path, model: Any, base: str) -> None:
    """Save the adapter of a `PeftModel`, its weights rounded to float16.

    That halves the size, and the error is far below what one step of training changes. The weights
    of token embeddings, which are most of the bytes of an adapter that has them, are rounded to
    8 bits (float8_e4m3fn: three bits of mantissa).

    Args:
        base: the base model's name, written in place of its path on this machine.
    """
    model.peft_config["default"].base_model_name_or_path = base
    for module in model.modules():
        if getattr(module, "lora_embedding_A", None):
            down, up = module.lora_embedding_A["default"], module.lora_embedding_B["default"]
            # A power of two that brings them into the range where 8 bits are exact to a sixteenth.
            scale = 2.0 ** (3 - math.frexp(down.detach().abs().max())[1])
            down.data, up.data = down.data * scale, up.data / scale
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            kind = torch.float8_e4m3fn if "lora_embedding_A" in name else torch.float16
            parameter.data = parameter.data.to(kind)
    with quiet_transformers():  # it warns if the base's name is not a path
        model.save_pretrained(folder, save_embedding_layers=False)


def write_record(
    folder: Path,
    settings: dict[str, Any],
    base_revision: str,
    data: dict[str, Any],
    outcome: Outcome,
    log: Log,
) -> None:
    """Write training.json and log.csv, which every trained adapter has."""
    record = {
        "settings": settings,
        "base_revision": base_revision,
        "data": data,
        "outcome": asdict(outcome),
        "versions": {
            "astrosearch": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (folder / TRAINED_ON).write_text(json.dumps(record, indent=1) + "\n")
    (folder / "log.csv").write_bytes(log.path.read_bytes())


def _card(settings: FinetuneSettings, prepared: Prepared, outcome: Outcome, log: Log) -> str:
    held_out = [entry for entry in log.entries() if entry.held_out_loss is not None]
    losses = ""
    if held_out:
        before, after = held_out[0], held_out[-1]
        losses = (
            f"On {settings.evaluation_blocks} held-out blocks the perplexity went from "
            f"{before.perplexity:.2f} to {after.perplexity:.2f} "
            f"({1 - after.perplexity / before.perplexity:.1%} lower)."
        )
    return card(
        settings.base,
        "A LoRA adapter for astronomy abstracts",
        f"""Made by `astrosearch train finetune` from {settings.base} (revision
{prepared.base_revision}), the way of the AstroLLaMA paper (arXiv:2309.06126): causal language
modelling on abstracts, packed into blocks of {prepared.block} tokens. It continues abstracts; it
does not know facts, and it invents numbers.""",
        f"""{prepared.papers:,} papers of arXiv, {prepared.first} to {prepared.last}; one in five is
held out by a hash of its identifier. Training: {prepared.train.papers:,} papers,
{prepared.train.tokens:,} tokens, {prepared.train.blocks:,} blocks. Held out:
{prepared.test.papers:,} papers, {prepared.test.tokens:,} tokens.""",
        f"""{outcome.tokens:,} tokens in {outcome.steps:,} steps; mean training loss
{outcome.training_loss:.4f} nats a token (perplexity {math.exp(outcome.training_loss):.2f}).
{losses}""".rstrip(),
        settings.as_record(),
        outcome,
    )


def card(
    base: str,
    title: str,
    made: str,
    data: str,
    result: str,
    settings: dict[str, Any],
    outcome: Outcome,
) -> str:
    """README.md of an adapter's folder: a model card, with the front matter that the Hub reads."""
    listed = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    return f"""---
base_model: {base}
library_name: peft
tags: [lora, astronomy]
---

# {title}

{made}

## Data

{data}

## Result

{result} `log.csv` has every step.

{outcome.seconds / 60:,.0f} minutes on {outcome.machine}.

## Settings

| setting | value |
|---|---|
{listed}
"""
