"""How many papers of a bibliography without identifiers are found again in an index.

    ASTROSEARCH_HOME=... python -m tests.benchmarks.library [INDEX] [COUNT]

Papers of the index are written as entries: the title in other capitals, every tenth without its
last words, given names as initials, no identifier. As many that the index does not have (the title
of a paper with a word of another in place of its first two, and that one's authors) have to stay
unmatched.
"""

import random
import sys
import time
from itertools import pairwise

from astrosearch.library import bibtex_text
from astrosearch.library.match import match_entries
from astrosearch.papers import Paper
from astrosearch.search.searcher import open_index
from astrosearch.text.authors import split_name
from astrosearch.text.tex import to_unicode


def entry(number: int, title: str, names: tuple[str, ...], year: int) -> bibtex_text.Entry:
    people = []
    for name in names[:5]:
        parts = split_name(name)
        people.append(f"{{{to_unicode(parts.surname)}}}, {parts.given[:1]}.")
    authors = " and ".join(people)
    raw = f"@article{{k{number}, title={{{title}}}, author={{{authors}}}, year={{{year}}}}}"
    return bibtex_text.parse(raw).entries[0]


def disturbed(paper: Paper, number: int) -> str:
    words = to_unicode(paper.title).replace("{", "").replace("}", "").title().split()
    return " ".join(words[:-2] if number % 10 == 0 and len(words) > 8 else words)


def main(index: str | None = None, count: int = 2_000) -> None:
    generator = random.Random(0)
    with open_index(index) as searcher:
        rows = generator.sample(searcher.index.rows.tolist(), count + 1)
        papers = searcher.index.corpus.papers(rows)
        known = [
            entry(number, disturbed(paper, number), paper.authors, paper.published.year + 1)
            for number, paper in enumerate(papers[:-1])
            if paper.authors
        ]
        start = time.perf_counter()
        matches = match_entries(searcher, known)
        seconds = time.perf_counter() - start
        wanted = [paper.id for paper in papers[:-1] if paper.authors]
        right = sum(match.arxiv == one for match, one in zip(matches, wanted, strict=True))
        wrong = sum(
            bool(match.arxiv) and match.arxiv != one
            for match, one in zip(matches, wanted, strict=True)
        )
        strangers = []
        for number, (paper, other) in enumerate(pairwise(papers)):
            words = disturbed(paper, 1).split()
            words[:2] = disturbed(other, 1).split()[-1:]
            strangers.append(entry(number, " ".join(words), other.authors, paper.published.year))
        false = sum(bool(match.arxiv) for match in match_entries(searcher, strangers))
    print(f"of {len(known):,} papers {right:,} are found again, {wrong:,} are taken for others")
    print(f"of {len(strangers):,} papers that the index does not have {false:,} are taken for one")
    print(f"{1000 * seconds / len(known):.1f} ms each")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(arguments.get(1), int(arguments.get(2, 2_000)))
