"""Fine-tuning on packed blocks, compared with a plain Trainer and peft that pad each abstract.

Both train LoRA on the same abstracts with the same model and settings, and with the same number of
rows in memory at once. Our row is a block of 512 tokens; theirs is an abstract padded to the
longest of its batch. Each runs in a process of its own, one after the other. Only the abstracts'
own tokens are counted, not padding. The time is that of the training loop; memory is the process's
peak.

    python -m tests.benchmarks.finetune arxiv-metadata-oai-snapshot.json --papers 1000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from astrosearch.completion.language_model import load_language_model, load_vocabulary
from astrosearch.corpus.intake import Intake, Selection, read_papers
from astrosearch.encoders.devices import fast_dtype
from astrosearch.encoders.registry import DEFAULT
from astrosearch.encoders.weights.locate import locate
from astrosearch.report import SILENT
from training.lm.finetune import finetune, lora
from training.settings import FinetuneSettings

CPU = torch.device("cpu")


def settings(rows: int) -> FinetuneSettings:
    dtype = str(fast_dtype(CPU)).removeprefix("torch.")
    return FinetuneSettings(DEFAULT, micro_batch=rows, epochs=1, evaluations=0, dtype=dtype)


def packed(corpus: Path, papers: int, rows: int, work: Path) -> tuple[int, float]:
    from training.lm.abstracts import blocks_of, prepare
    from training.log import Log

    prepared = prepare([corpus], work / "blocks", DEFAULT, Selection(limit=papers), SILENT)
    finetune(settings(rows), work / "blocks", work / "adapter", SILENT, device=CPU)
    assert len(blocks_of(work / "blocks", "train")) == prepared.train.blocks
    return prepared.train.tokens, Log(work / "adapter" / "log.csv").entries()[-1].seconds


def padded(corpus: Path, papers: int, rows: int, work: Path) -> tuple[int, float]:
    from transformers import (
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
        Trainer,
        TrainingArguments,
    )

    from astrosearch.evaluation.split import is_held_out

    folder, _ = locate(DEFAULT, SILENT)
    vocabulary = load_vocabulary(folder, DEFAULT)
    stream = read_papers([corpus], Selection(), Intake(), lambda refusal: None)
    chosen = [paper for (paper, _, _), _ in zip(stream, range(papers), strict=False)]
    chosen = [paper for paper in chosen if not is_held_out(paper.id)]
    texts = vocabulary.ids([paper.abstract for paper in chosen])
    data = [{"input_ids": [vocabulary.bos, *ids, vocabulary.eos]} for ids in texts]
    ours = settings(rows)
    model = load_language_model(DEFAULT, SILENT, device="cpu", dtype=getattr(torch, ours.dtype))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=vocabulary.tokenizer, pad_token="<|im_end|>"
    )
    trainer = Trainer(
        model=lora(model.model, ours),
        args=TrainingArguments(
            output_dir=str(work),
            use_cpu=True,
            num_train_epochs=1,
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=ours.batch // rows,
            learning_rate=ours.learning_rate,
            bf16=ours.dtype == "bfloat16",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            report_to="none",
        ),
        train_dataset=data,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    )
    start = time.perf_counter()
    trainer.train()
    return sum(len(row["input_ids"]) for row in data), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--papers", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=4, help="Rows in memory at once.")
    parser.add_argument("--only", choices=["packed", "padded"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        run = {"packed": packed, "padded": padded}[arguments.only]
        with tempfile.TemporaryDirectory() as work:
            tokens, seconds = run(arguments.corpus, arguments.papers, arguments.rows, Path(work))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"tokens": tokens, "seconds": seconds, "memory": memory}))
        return
    reports: dict[str, Any] = {}
    for way in ("packed", "padded"):
        command = [sys.executable, "-m", "tests.benchmarks.finetune", *sys.argv[1:], "--only", way]
        process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        reports[way] = report = json.loads(process.stdout.splitlines()[-1])
        print(
            f"{way}: {report['tokens']:,} tokens in {report['seconds']:,.0f} s, "
            f"{report['tokens'] / report['seconds']:,.0f} tokens/s, "
            f"{report['memory'] / 1e6:,.0f} MB"
        )
    speeds = {way: report["tokens"] / report["seconds"] for way, report in reports.items()}
    print(f"{torch.get_num_threads()} threads, {settings(arguments.rows).dtype}")
    print(
        f"ratio {speeds['packed'] / speeds['padded']:.2f}, memory "
        f"{reports['packed']['memory'] / reports['padded']['memory']:.2f}"
    )


if __name__ == "__main__":
    main()
