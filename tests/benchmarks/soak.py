"""An index that grows while it is read: an updater, four readers and a shell, for an hour.

Every --every seconds a file gets --papers made-up papers (`made_up.py`): most are new, one in ten
is a later version of a paper that is there, and one is a withdrawal. `astrosearch update` takes
them in, in a process of its own, and merges segments when it is time to. Meanwhile readers and a
shell ask, --pause seconds apart, for papers that are there by their whole titles and by four words
of titles. Readers note what each snapshot answered: two readers of a snapshot must have the same.
In the end an index is built of the same file in one go, and 500 questions must have the same hits
in both, with scores that differ by 1e-4 at most. A paper that was not among the hits for its whole
title must not be among them there either: titles of made-up papers differ by a number at times.

After each update the memory and the open files of readers and shell are noted, and the files of the
index; each minute a line of the table is printed. All go up with the segments, until a merge. They
level off if the most between the last two merges is not more than between the two before by a
quarter, and by what the index itself has grown. The exit code is 1 if they do not, if there were
fewer than three merges to tell, or if anything was wrong.

    python -m tests.benchmarks.soak --minutes 60 --every 20
"""

import argparse
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from astrosearch.corpus.intake import Selection
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.registry import encoder_spec
from astrosearch.encoders.weights.locate import with_revision
from astrosearch.index.build import build
from astrosearch.index.manifest import Manifest
from astrosearch.report import SILENT
from tests.benchmarks.made_up import MadeUpPapers

NAME, READERS, K, QUESTIONS = "soak", 4, 10, 500

CLOSE = 1e-4
"""Difference of scores that does not matter."""

CHANGED = 10
"""Papers whose number this divides may be replaced or withdrawn, and are not asked for."""

Answer = list[tuple[str, float]]
"""Ids and scores."""


def differs(ours: Answer, theirs: Answer) -> bool:
    """Whether two answers are not the same; papers of one score may change places."""
    if len(ours) != len(theirs):
        return True
    if any(abs(a - b) > CLOSE for (_, a), (_, b) in zip(ours, theirs, strict=True)):
        return True
    last = theirs[-1][1] + CLOSE if theirs else 0.0
    missing = {a for a, _ in ours} ^ {b for b, _ in theirs}
    scores = dict(ours) | dict(theirs)
    return any(scores[paper_id] > last for paper_id in missing) or any(
        abs(scores[a] - scores[b]) > 2 * CLOSE
        for (a, _), (b, _) in zip(ours, theirs, strict=True)
        if a != b
    )


def questions(papers: MadeUpPapers, known: Any, seed: int) -> Iterator[tuple[int, str]]:
    """Numbers of papers that are there, and questions for them."""
    draw = random.Random(seed)
    while True:
        number = draw.randrange(known.value)
        if number % CHANGED:
            yield number, papers.question(number)


def check(ids: Sequence[str]) -> str | None:
    """What is wrong with an answer."""
    return f"twice in one answer: {ids}" if len(set(ids)) != len(ids) else None


def missing(papers: MadeUpPapers, number: int, ids: Sequence[str]) -> str | None:
    """The id of a paper that was asked for by its whole title, and is not among the hits."""
    paper_id = str(papers.record(number)["id"])
    return paper_id if number % 2 and paper_id not in ids else None


def read(seed: int, known: Any, stop: Any, count: Any, log: Path, pause: float) -> None:
    """Ask until told to stop, and note the answers of each snapshot."""
    from astrosearch.search.searcher import open_index

    papers = MadeUpPapers()
    with log.open("wb", buffering=0) as stream, open_index(NAME) as searcher:
        for number, question in questions(papers, known, seed % 2):  # two readers ask the same
            if stop.is_set():
                return
            try:
                before = searcher.index.manifest.snapshot
                hits = searcher.query(question, K)
                answer = [(hit.paper.id, hit.score) for hit in hits]
                ids = [paper_id for paper_id, _ in answer]
                same = before == searcher.index.manifest.snapshot
                line = {
                    "wrong": check(ids),
                    "missing": missing(papers, number, ids),
                    "snapshot": before if same else None,
                    "answer": answer,
                }
            except Exception as error:
                line = {"wrong": f"{type(error).__name__}: {error}", "missing": None}
            if line["wrong"] or line["missing"] or line["snapshot"]:
                stream.write(orjson.dumps(line | {"question": question}) + b"\n")
            count.value += 1
            time.sleep(pause)


class ShellReader:
    """`astrosearch shell` at the other end of a pipe."""

    def __init__(self, environment: dict[str, str], errors: Path) -> None:
        command = [sys.executable, "-m", "astrosearch", "shell", "--format", "ids", "-i", NAME]
        self.asked, self.wrong = 0, list[str]()
        self.missing: list[tuple[str, str]] = []
        self._errors = errors.open("w")
        self.process = subprocess.Popen(
            command,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, known: Any, stop: threading.Event, pause: float) -> None:
        assert self.process.stdin
        assert self.process.stdout
        papers = MadeUpPapers()
        for number, question in questions(papers, known, 99):
            if stop.is_set():
                break
            print(question, file=self.process.stdin, flush=True)
            ids = [self.process.stdout.readline().strip() for _ in range(K)]
            self.asked += 1
            if paper_id := missing(papers, number, ids):
                self.missing.append((question, paper_id))
            if "" in ids:
                self.wrong.append(f"shell: no answer to {question!r}")
                break
            if wrong := check(ids):
                self.wrong.append(f"shell: {wrong}")
            time.sleep(pause)
        self.process.stdin.close()
        if code := self.process.wait():
            self.wrong.append(f"shell: exit code {code}")
        self._errors.close()


@dataclass(frozen=True)
class Reading:
    """What there is at a moment."""

    minute: float
    papers: int
    segments: int
    files: int
    """Of the index."""
    size: float
    """Of the index, MB."""
    reader: float
    """Most memory of a reader, MB: what is its own, without pages of files."""
    shell: float
    descriptors: int
    """Most open files of a process."""
    asked: int
    """Questions since the beginning."""
    update: float
    """Seconds of the last update."""


HEADINGS = (
    "minute", "papers", "segments", "files", "MB", "reader MB", "shell MB", "open files",
    "questions", "update s",
)  # fmt: skip


def own_memory(pid: int) -> float:
    """MB of memory of a process that is not a file's."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


class Soak:
    """The index, its file, and who reads it."""

    def __init__(self, home: Path, start: int, batch: int, pause: float) -> None:
        self.folder, self.corpus = home / "indexes" / NAME, home / "papers.jsonl"
        self._home, self._batch, self._pause = home, batch, pause
        self._environment = os.environ | {"ASTROSEARCH_HOME": str(home)}
        os.environ["ASTROSEARCH_HOME"] = str(home)
        self._papers = MadeUpPapers()
        self._count = start
        self._changed = iter(range(0, 10**9, CHANGED))
        self.folder.parent.mkdir()
        self._papers.append(self.corpus, range(start))
        # `made_up.build_index` cuts some texts into other tokens than an update does.
        spec = with_revision(encoder_spec("astro-embed"), SILENT)
        build(self.folder, [self.corpus], Selection(), spec, load_encoder)
        context = multiprocessing.get_context("spawn")
        self._known = context.Value("q", start, lock=False)
        self._stop, self._shell_stop = context.Event(), threading.Event()
        self._asked = [context.Value("q", 0, lock=False) for _ in range(READERS)]
        self._logs = [home / f"reader-{number}.jsonl" for number in range(READERS)]
        self._readers = [
            context.Process(target=read, args=(number, self._known, self._stop, asked, log, pause))
            for number, (asked, log) in enumerate(zip(self._asked, self._logs, strict=True))
        ]
        for reader in self._readers:
            reader.start()
        self._shell = ShellReader(self._environment, home / "shell.log")
        self._shell_thread = threading.Thread(
            target=self._shell.ask, args=(self._known, self._shell_stop, pause)
        )
        self._shell_thread.start()
        self.wrong: list[str] = []
        self._missing: set[tuple[str, str]] = set()
        self.seconds: list[float] = []

    def update(self) -> None:
        """Put papers into the file, and bring the index up to date."""
        changed = self._batch // 10
        new = range(self._count, self._count + self._batch - changed - 1)
        with self.corpus.open("ab") as stream:
            for number in new:
                stream.write(orjson.dumps(self._papers.record(number)) + b"\n")
            for place in range(changed + 1):
                earlier = self._papers.record(next(self._changed))
                later = self._papers.record(10**7 + self._count + place)
                later |= {"id": earlier["id"], "version": 2, "published": earlier["published"]}
                if place == changed:
                    later["abstract"] = "This paper has been withdrawn by the authors."
                stream.write(orjson.dumps(later) + b"\n")
        start = time.monotonic()
        command = [sys.executable, "-m", "astrosearch", "update", NAME]
        process = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        self.seconds.append(time.monotonic() - start)
        expected = f"{len(new)} new, {changed} replaced, 1 removed"
        if process.returncode or expected not in process.stderr:
            self.wrong.append(f"update: exit code {process.returncode}: {process.stderr.strip()}")
        self._count = new.stop
        self._known.value = self._count

    def reading(self, seconds: float) -> Reading:
        manifest = Manifest.read(self.folder, check_files=False)
        sizes = [file.stat().st_size for file in self.folder.rglob("*") if file.is_file()]
        pids = [reader.pid for reader in self._readers if reader.pid]
        pids.append(self._shell.process.pid)
        return Reading(
            seconds / 60,
            manifest.count,
            len(manifest.segments),
            len(sizes),
            sum(sizes) / 1e6,
            max(own_memory(pid) for pid in pids[:-1]),
            own_memory(pids[-1]),
            max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
            sum(asked.value for asked in self._asked) + self._shell.asked,
            self.seconds[-1] if self.seconds else 0.0,
        )

    def finish(self) -> None:
        """Let all end, and collect what was wrong."""
        self._stop.set()
        self._shell_stop.set()
        for number, reader in enumerate(self._readers):
            reader.join()
            if reader.exitcode:
                self.wrong.append(f"reader {number}: exit code {reader.exitcode}")
        self._shell_thread.join()
        self.wrong += self._shell.wrong
        self._missing.update(self._shell.missing)
        if errors := (self._home / "shell.log").read_text().replace(f"{NAME}> ", "").strip():
            self.wrong.append(f"shell: {errors}")
        self._compare_logs()

    def _compare_logs(self) -> None:
        """Two readers of a snapshot have the same answers."""
        answers: dict[tuple[int, str], Answer] = {}
        agreed = 0
        for log in self._logs:
            for line in log.read_bytes().splitlines():
                record = orjson.loads(line)
                if record["wrong"]:
                    self.wrong.append(f"reader: {record['question']!r}: {record['wrong']}")
                    continue
                if record["missing"]:
                    self._missing.add((record["question"], record["missing"]))
                if not record["snapshot"]:
                    continue
                key = record["snapshot"], record["question"]
                if differs(answers.setdefault(key, record["answer"]), record["answer"]):
                    self.wrong.append(f"snapshot {key[0]} has two answers to {key[1]!r}")
                agreed += answers[key] is not record["answer"]
        print(f"{agreed:,} answers of a snapshot were given again, by the same or another reader")

    def compare(self) -> None:
        """The index that grew against one that is built of the same file in one go."""
        from astrosearch.index.reader import Index
        from astrosearch.search.searcher import Searcher

        manifest = Manifest.read(self.folder)
        whole = self.folder.with_name("whole")
        build(whole, [self.corpus], Selection(), manifest.encoder, load_encoder)
        draw = random.Random(7)
        with Searcher(Index(self.folder)) as ours, Searcher(Index(whole)) as theirs:
            if len(ours) != len(theirs):
                self.wrong.append(f"{len(ours):,} papers, in one go {len(theirs):,}")
            for number in draw.sample(range(self._count), QUESTIONS):
                question = self._papers.question(number)
                grown, once = (
                    [(hit.paper.id, hit.score) for hit in searcher.query(question, K)]
                    for searcher in (ours, theirs)
                )
                if differs(grown, once):
                    self.wrong.append(f"{question!r}: {grown}; in one go {once}")
            for question, paper_id in sorted(self._missing):
                if paper_id in [hit.paper.id for hit in theirs.query(question, K)]:
                    self.wrong.append(f"{paper_id} was not among the hits for {question!r}")
        print(
            f"{QUESTIONS} questions to an index built in one go: compared; {len(self._missing)} "
            "papers were not among the hits for their titles"
        )


def growth(readings: Sequence[Reading]) -> list[str]:
    """What does not level off."""
    merges = [
        place for place in range(1, len(readings))
        if readings[place].segments <= readings[place - 1].segments
    ]  # fmt: skip
    if len(merges) < 3:
        return [f"{len(merges)} merges: too few to tell whether memory and files level off"]
    before, after = (readings[start:end] for start, end in pairwise(merges[-3:]))
    grown = max(reading.size for reading in after) - min(reading.size for reading in before)
    faults = []
    for name, allowance in (
        ("files", 0.0), ("descriptors", 0.0), ("reader", grown), ("shell", grown)
    ):  # fmt: skip
        earlier = max(getattr(reading, name) for reading in before)
        later = max(getattr(reading, name) for reading in after)
        print(f"{name}: at most {earlier:,.0f} before the last merge but one, {later:,.0f} after")
        if later > 1.25 * earlier + allowance:
            faults.append(f"{name} does not level off")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=20.0, help="Seconds between two updates.")
    parser.add_argument("--papers", type=int, default=50, help="Papers of an update.")
    parser.add_argument("--start", type=int, default=5_000, help="Papers at the beginning.")
    parser.add_argument("--pause", type=float, default=0.05, help="Seconds between two questions.")
    parser.add_argument("--note", type=float, default=60.0, help="Seconds between two lines.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        soak = Soak(Path(home), arguments.start, arguments.papers, arguments.pause)
        begin = time.monotonic()
        readings: list[Reading] = []
        printed = 0.0
        print(" ".join(f"{heading:>10}" for heading in HEADINGS), flush=True)
        while (seconds := time.monotonic() - begin) < 60 * arguments.minutes:
            soak.update()
            readings.append(soak.reading(time.monotonic() - begin))
            if seconds >= printed:
                printed += arguments.note
                cells = astuple(readings[-1])
                print(
                    " ".join(
                        f"{cell:10,.1f}" if isinstance(cell, float) else f"{cell:10,}"
                        for cell in cells
                    ),
                    flush=True,
                )
            time.sleep(max(0.0, seconds + arguments.every - (time.monotonic() - begin)))
        soak.finish()
        soak.compare()
        merges = sum(b.segments <= a.segments for a, b in pairwise(readings))
        print(
            f"{len(soak.seconds)} updates, median {median(soak.seconds):.2f} s, at most "
            f"{max(soak.seconds):.2f} s; {merges} merges; {readings[-1].asked:,} questions"
        )
        faults = soak.wrong + growth(readings)
        for fault in faults:
            print(fault)
        print(f"{len(faults)} faults" if faults else "No fault.")
        if faults:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
