"""Small indexes without a model: an encoder that counts pairs of letters, and invented papers."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from astrosearch.corpus.intake import Selection
from astrosearch.corpus.records import record_from_paper
from astrosearch.encoders.base import EncodedTexts, EncoderSpec
from astrosearch.encoders.vectors import Vectors, unit_rows
from astrosearch.index.build import BuildReport, build
from astrosearch.papers import Paper

SPEC = EncoderSpec("letters", revision="1")

THINGS = "stream quasar pulsar dwarf lens cluster planet burst disc halo jet ring void".split()
PLACES = ["the Magellanic Clouds", "NGC 1068", "M 31", "the Milky Way", "Cygnus X-1"]
NAMES = ["Ada Nowak", "B. Téglas", "Chen Wu", "D. van der Berg", "Eva Mendez", "F. Lee"]


class Letters:
    """Vectors by which kinds of pairs of letters a text has."""

    dimension = 16

    def __init__(self, spec: EncoderSpec) -> None:
        self.spec = spec

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for left, right in pairwise(text):
                row[(31 * ord(left) + ord(right)) % self.dimension] += 1
        return unit_rows(rows - rows.mean(axis=1, keepdims=True))

    def encode_counted(self, texts: Sequence[str]) -> EncodedTexts:
        return EncodedTexts(self.encode(texts), sum(map(len, texts)))


def letters_paper(number: int, version: int = 1) -> Paper:
    """An invented paper; its abstract tells the version, in a word of its own."""
    thing, place = THINGS[number % len(THINGS)], PLACES[number // 3 % len(PLACES)]
    other = THINGS[number * 7 % len(THINGS)]
    return Paper(
        id=f"{2101 + number % 12:04}.{number:05}",
        title=f"A {thing} in {place}",
        abstract=f"We observe a {thing} and a {other} with gas in {place}, version{version}, "
        f"number {number}." + f" The {other} is faint." * (number % 4),
        authors=(NAMES[number % 6], NAMES[number // 6 % 6]) if number % 5 else (NAMES[number % 6],),
        categories=("astro-ph.GA",) if number % 3 else ("gr-qc", "astro-ph.CO"),
        published=date(2021, 1, 1) + timedelta(days=number * 5 % 700),
        updated=date(2023, 1, version),
        doi=f"10.1000/Letters.{number}" if number % 4 == 0 else None,
        version=version,
    )


def write_letters(path: Path, papers: Iterable[Paper], withdrawn: Iterable[Paper] = ()) -> Path:
    """A file of papers; it replaces one that is there in one step."""
    records = [record_from_paper(paper) for paper in papers]
    records += [record_from_paper(paper, withdrawn=True) for paper in withdrawn]
    new = path.with_suffix(".new")
    new.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return new.replace(path)


def build_letters(folder: Path, source: Path) -> BuildReport:
    return build(folder, [source], Selection(), SPEC, Letters)
