"""The papers that come with astrosearch."""

from collections import Counter

from astrosearch.corpus import sampler
from astrosearch.corpus.intake import Intake, Refusal, Selection, read_papers
from astrosearch.papers import Paper, parse_id


def papers() -> list[Paper]:
    refused: list[Refusal] = []
    found = [
        paper
        for paper, _, _ in read_papers([sampler.path()], Selection(), Intake(), refused.append)
    ]
    assert refused == []
    return found


def test_every_paper_is_marked_as_a_summary_of_80_to_140_words() -> None:
    found = papers()
    assert len(found) >= 240
    for paper in found:
        assert paper.is_summary
        assert 80 <= len(paper.abstract.split()) <= 140, paper.id
        assert paper.authors, paper.id
        assert paper.title, paper.id
        assert parse_id(paper.id).id == paper.id
    assert len({paper.id for paper in found}) == len(found)


def test_author_lists_are_names_and_nothing_else() -> None:
    """Lists in other forms than the usual one would show as lone family names and initials."""
    for paper in papers():
        odd = [name for name in paper.authors if " " not in name or set(name) & set("()|\\{")]
        assert len(odd) <= 1, (paper.id, odd)


def test_all_decades_and_all_six_categories_are_there() -> None:
    found = papers()
    decades = Counter(paper.published.year // 10 * 10 for paper in found)
    assert all(decades[decade] >= 40 for decade in (1990, 2000, 2010, 2020)), decades
    categories = Counter(one for paper in found for one in paper.categories)
    for name in ("CO", "EP", "GA", "HE", "IM", "SR"):
        assert categories[f"astro-ph.{name}"] >= 20, categories


def test_the_topics_of_the_papers_figures_are_there() -> None:
    texts = [f"{paper.title} {paper.abstract}" for paper in papers()]
    assert sum("Magellanic Stream" in text for text in texts) >= 2
    assert sum("agneti" in text and "sed" in text for text in texts) >= 2
    assert sum("Spitzer" in text and "star" in text for text in texts) >= 2
