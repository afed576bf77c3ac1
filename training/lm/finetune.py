"""Fine-tuning as the AstroLLaMA paper does it (arXiv:2309.06126, 2.3): `train finetune`.

The Trainer of transformers runs the loop: schedule, accumulation, several processes, precision.
We bring the blocks, the settings, and a run that can be killed (`training.run`).
"""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from astrosearch.completion.language_model import LanguageModel, load_language_model
from astrosearch.encoders.devices import keep_freed_memory, pick_device
from astrosearch.encoders.hugging_face import quiet_transformers
from astrosearch.errors import InputError
from astrosearch.report import Reporter
from training.adapter import Outcome, write_adapter
from training.disk import clear, is_first_process, locked, out_of_space, rename
from training.lm.abstracts import Prepared, blocks_of
from training.lm.dropout import use_byte_dropout
from training.lm.packing import BLOCK
from training.log import Log
from training.run import LOG, CheckpointPolicy, train
from training.settings import FinetuneSettings


def steps_of(settings: FinetuneSettings, blocks: int) -> int:
    """Number of optimiser steps in a run on this many training blocks."""
    steps = math.ceil(settings.epochs * math.ceil(blocks / settings.batch))
    if settings.max_tokens is not None:
        steps = min(steps, math.ceil(settings.max_tokens / (settings.batch * BLOCK)))
    return max(1, steps)


def finetune(
    settings: FinetuneSettings,
    data: Path,
    out: Path,
    reporter: Reporter,
    *,
    device: torch.device,
    policy: CheckpointPolicy | None = None,
    restart: bool = False,
) -> Outcome | None:
    """Train a LoRA adapter on prepared blocks, or go on with a run that was cut short.

    Args:
        data: a folder that `training.lm.abstracts.prepare` wrote.
        out: a new folder for the adapter; it appears when it is whole.
        restart: throw away what an earlier run has left.

    Returns:
        The result; None if the run was paused.

    Raises:
        InputError: if the data are not this base's, or an unfinished run has other settings.
        AstrosearchError: if memory or disk do not suffice, or another process is making `out`.
    """
    prepared = Prepared.read(data)
    if device.type == "cpu":
        keep_freed_memory()
    base = load_language_model(
        settings.base,
        reporter,
        quantize=settings.quantize,
        device=device,
        dtype=getattr(torch, settings.dtype),
    )
    prepared.check(data, base)
    with out_of_space(out), locked(out) as work:
        if restart and is_first_process():
            clear(work)
        trainer = _trainer(settings, base, data, work)
        record = {"settings": settings.as_record(), "corpus": prepared.corpus}
        done = train(
            trainer,
            work,
            record,
            reporter,
            policy=policy or CheckpointPolicy(),
            measure="perplexity",
        )
        if not done:
            return None
        log = Log(work / LOG)
        outcome = Outcome.of(log, device)
        trainer.accelerator.wait_for_everyone()  # until all processes have read the log
        if trainer.is_world_process_zero():
            model = trainer.accelerator.unwrap_model(trainer.model)
            write_adapter(work / "adapter", model, settings, prepared, outcome, log)
            rename(work / "adapter", out)
            shutil.rmtree(work)
        trainer.accelerator.wait_for_everyone()
        return outcome


def process_device(name: str | None) -> torch.device:
    """The device of this process; of several processes on a machine each has its own GPU."""
    device = pick_device(name)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


def lora(model: Any, settings: FinetuneSettings) -> Any:
    """The base, frozen, with LoRA on all its linear maps but the head."""
    # Imported here because bitsandbytes comes with it and prints when it is imported.
    with quiet_transformers():
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if settings.quantize != "none":
        for module in model.modules():
            # On a CPU an evaluation would repack the 4-bit weights for inference, for good, and in
            # that layout bitsandbytes has no gradient.
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
    elif settings.gradient_checkpointing:
        model.enable_input_require_grads()
    torch.manual_seed(settings.seed)  # LoRA's A is drawn at random
    return get_peft_model(
        model,
        LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Blocks to a batch: (b, 512) ids and labels, which are the ids but -100 on padding.

    The model shifts the labels by one itself. There is no mask: padding stands at the end alone,
    where no real token can see it.
    """
    ids = torch.tensor([row["input_ids"] for row in rows], dtype=torch.long)
    lengths = torch.tensor([row["length"] for row in rows])
    padded = torch.arange(ids.shape[1]) >= lengths[:, None]
    return {"input_ids": ids, "labels": ids.masked_fill(padded, -100)}


def _trainer(settings: FinetuneSettings, base: LanguageModel, data: Path, work: Path) -> Trainer:
    train_blocks, test = blocks_of(data, "train"), blocks_of(data, "test")
    full = sum(length == BLOCK for length in test["length"])
    steps = steps_of(settings, len(train_blocks))
    on_cpu, several = base.device.type == "cpu", int(os.environ.get("WORLD_SIZE", "1")) > 1
    with quiet_transformers():
        arguments = TrainingArguments(
            output_dir=str(work),
            use_cpu=on_cpu,
            ddp_backend="gloo" if on_cpu and several else None,
            ddp_find_unused_parameters=False,
            max_steps=steps,
            per_device_train_batch_size=settings.micro_batch,
            per_device_eval_batch_size=settings.micro_batch,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr_rate": settings.min_learning_rate_share},
            warmup_steps=round(settings.warmup_share * steps),
            adam_beta1=settings.beta1,
            adam_beta2=settings.beta2,
            adam_epsilon=settings.epsilon,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_gradient_norm,
            bf16=settings.dtype == "bfloat16",
            fp16=settings.dtype == "float16",
            gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            seed=settings.seed,
            logging_steps=1,
            logging_nan_inf_filter=False,
            include_num_input_tokens_seen="all",
            eval_strategy="steps" if settings.evaluations else "no",
            eval_steps=max(1, round(steps / max(1, settings.evaluations))),
            eval_on_start=settings.evaluations > 0,
            prediction_loss_only=True,
            save_strategy="no",  # `training.run` says when
            save_total_limit=2,
            remove_unused_columns=False,
            dataloader_pin_memory=base.device.type == "cuda",
            disable_tqdm=True,
            report_to="none",
            log_level="error",
        )
        share = settings.micro_batch * arguments.world_size
        if settings.batch % share:
            raise InputError(
                f"a batch of {settings.batch} blocks cannot be cut into micro-batches of "
                f"{settings.micro_batch} on {arguments.world_size} processes; "
                f"choose a batch that {share} divides"
            )
        arguments.gradient_accumulation_steps = settings.batch // share
        model = lora(base.model, settings)
        if on_cpu:
            use_byte_dropout(model, settings.dropout)
        return Trainer(
            model=model,
            args=arguments,
            data_collator=collate,
            train_dataset=train_blocks,
            eval_dataset=test.select(range(min(full, settings.evaluation_blocks))),
        )
