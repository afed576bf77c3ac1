"""What an answer looks like: on terminals of two widths, down a pipe, and to other programs."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table

from astrosearch.cli.views import hits as render
from astrosearch.cli.views import tables
from astrosearch.papers import Paper
from astrosearch.search.hits import Hit

ESCAPE = "\x1b"


def a_paper(
    title: str = r"Cold gas around $z \sim 3$ galaxies",
    *,
    id: str = "2401.00001",
    authors: tuple[str, ...] = ("Maartje van der Berg", r"B. T\'etl\'as"),
    abstract: str = r"We weigh H$_2$ in $10^{10}\,M_\odot$ galaxies.",
    categories: tuple[str, ...] = ("astro-ph.GA", "astro-ph.CO"),
    doi: str | None = None,
    is_summary: bool = False,
) -> Paper:
    return Paper(
        id,
        title,
        abstract,
        authors,
        categories,
        date(2024, 1, 2),
        doi=doi,
        version=2,
        is_summary=is_summary,
    )


HITS = [
    Hit(1, 0.74312, a_paper(doi="10.1000/x"), match=74, cosine=0.4, dense_rank=2),
    Hit(
        2,
        0.7,
        a_paper(
            "A long look at the stars, the gas and the dust of one small and otherwise quite "
            "ordinary galaxy",
            id="astro-ph/0601001",
            authors=("The Lighthouse Collaboration",),
            categories=("astro-ph",),
        ),
        match=70,
        cosine=0.3,
    ),
]


def drawn(what: RenderableType, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    return lines


def test_at_80_columns_a_hit_is_a_title_and_a_line_of_facts() -> None:
    assert drawn(render.hits_table(HITS, abstracts=False, width=80), 80) == [
        "",
        " #  match  paper",
        " ──────────────────────────────────────────────────────────────────────────────",
        " 1     74  Cold gas around z ∼ 3 galaxies",
        "           2401.00001 · 2024 · van der Berg et al. · astro-ph.GA astro-ph.CO",
        " 2     70  A long look at the stars, the gas and the dust of one small and",
        "           otherwise quite ordinary galaxy",
        "           astro-ph/0601001 · 2024 · The Lighthouse Collaboration · astro-ph",
        "",
    ]


def explained(width: int) -> list[str]:
    ranks = ((1, 2, 0.9), (None, 1, -0.01), (2, None, 0.8))
    hits = [
        Hit(i, 0.97 - i / 10, a_paper(), 97 - 10 * i, cosine, dense, lexical, bm25=7.25)
        for i, (dense, lexical, cosine) in enumerate(ranks, 1)
    ]
    plain = drawn(render.hits_table(hits, abstracts=False, width=width), width)
    assert not any(name in line for line in plain for name in ("cosine", "by words"))
    return drawn(render.hits_table(hits, abstracts=False, width=width, explain=True), width)


def test_the_signals_behind_the_order_have_columns_where_there_is_room() -> None:
    lines = [re.split(r" {2,}", line.strip()) for line in explained(180)]
    heads = ["#", "match", "score", "cosine", "BM25", "tokens", "by meaning", "by words"]
    assert lines[1][:8] == heads
    assert lines[3][:7] == ["1", "87", "0.870", "0.900", "7.2", "1", "2"]
    assert lines[4][:6] == ["2", "77", "0.770", "-0.010", "7.2", "1"]
    assert lines[5][:6] == ["3", "67", "0.670", "0.800", "7.2", "2"]


def test_the_signals_behind_the_order_are_a_line_where_there_is_not() -> None:
    lines = [line.strip() for line in explained(80)]
    assert "score 0.870 · cosine 0.900 (#1) · BM25 7.2 (#2)" in lines
    assert "score 0.770 · cosine -0.010 · BM25 7.2 (#1)" in lines
    assert "score 0.670 · cosine 0.800 (#2) · BM25 7.2" in lines


def test_at_140_columns_every_fact_has_a_column() -> None:
    lines = drawn(render.hits_table(HITS, abstracts=False, width=140), 140)
    assert re.split(r" {2,}", lines[1].strip()) == [
        *("#", "match", "id", "year", "first author", "title", "categories")
    ]
    rows = [re.split(r" {2,}", line.strip()) for line in lines[3:]]
    assert rows == [
        [
            *("1", "74", "2401.00001", "2024", "van der Berg et al."),
            *("Cold gas around z ∼ 3 galaxies", "astro-ph.GA"),
        ],
        ["astro-ph.CO"],
        [
            *("2", "70", "astro-ph/0601001", "2024", "The Lighthouse"),
            *("A long look at the stars, the gas and the dust of one small and", "astro-ph"),
        ],
        ["Collaboration", "otherwise quite ordinary galaxy"],
        [""],
    ]


def test_at_160_columns_titles_have_the_width_that_categories_leave() -> None:
    title = "Fifty words of a title " * 4
    hits = [Hit(1, 0.5, a_paper(title, categories=("astro-ph.GA",)), cosine=0.1)]
    lines = drawn(render.hits_table(hits, abstracts=False, width=160), 160)
    assert title.strip() in lines[3]
    assert lines[3].endswith("astro-ph.GA")
    short = [Hit(1, 0.5, a_paper("A star"), cosine=0.1)]
    lines = drawn(render.hits_table(short, abstracts=False, width=160), 160)
    assert lines[3].endswith("A star  astro-ph.GA astro-ph.CO")


@pytest.mark.parametrize("width", [80, 140])
def test_abstracts_follow_their_titles(width: int) -> None:
    lines = drawn(render.hits_table(HITS[:1], abstracts=True, width=width), width)
    assert lines[3:] == [
        " 1     74  Cold gas around z ∼ 3 galaxies",
        "           2401.00001 · 2024 · van der Berg et al. · astro-ph.GA astro-ph.CO",
        "           We weigh H₂ in 10¹⁰ M⊙ galaxies.",
        "",
        "",
    ]


@pytest.mark.parametrize("width", [80, 140])
def test_abstracts_are_wrapped_to_a_readable_length(width: int) -> None:
    hit = Hit(1, 0.5, a_paper(abstract="word " * 200))
    lines = drawn(render.hits_table([hit], abstracts=True, width=width), width)
    assert max(len(line.strip()) for line in lines if "word" in line) <= render.READABLE
    assert sum(line.count("word") for line in lines) == 200


@pytest.mark.parametrize("width", [40, 60, 80, 120, 140, 200])
def test_identifiers_are_never_cut(width: int) -> None:
    text = "\n".join(drawn(render.hits_table(HITS, abstracts=False, width=width), width))
    assert "2401.00001" in text
    assert "astro-ph/0601001" in text


def test_rich_markup_in_a_title_is_shown_as_it_is_written() -> None:
    title = "[/bold] of [NII] and [red]x[/red] :star:"
    for width in (80, 140):
        lines = drawn(
            render.hits_table([Hit(1, 0.5, a_paper(title))], abstracts=False, width=width), width
        )
        assert title in lines[3]


HOSTILE = a_paper(
    "A \x1b[2Jtitle\x07 with\tcontrols\u202e\x9b31m",
    authors=("Eve \x1b]0;owned\x07Mal",),
    abstract="An abstract\x1b[1A\x85",
    categories=("astro-ph\x1b[31m",),
    doi="10.1000/\x1b[2Jx",
)


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "bibtex", "ids"])
@pytest.mark.parametrize("force_color", ["", "1"])
def test_control_characters_never_reach_the_terminal(
    form: str,
    force_color: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", force_color)
    hits = [Hit(1, 0.5, HOSTILE)]
    render.write_hits(hits, format=form, query="q", index="main", abstracts=True)
    render.write_paper(HOSTILE, format=form)
    written = capsys.readouterr().out
    # What rich itself writes: colours, and hyperlinks to arXiv.
    ours = re.compile(r"\x1b\[[\d;]*m|\x1b\]8;(?:id=\d+;https://arxiv\.org/[\w./-]+|;)\x1b\\")
    allowed = "\n\r\t" if form in ("table", "csv") and not force_color else "\n\r"
    left = set(ours.sub("", written)) - set(allowed)
    assert not [sign for sign in left if unicodedata.category(sign) in ("Cc", "Cf")]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def write(form: str, *, abstracts: bool = False) -> str:
        render.write_hits(HITS, format=form, query="cold gas", index="main", abstracts=abstracts)
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return write


def test_a_table_down_a_pipe_is_tab_separated_without_a_header(
    written: Callable[..., str],
) -> None:
    first = [
        *("1", "74", "2401.00001", "2024", "van der Berg et al."),
        *("Cold gas around z ∼ 3 galaxies", "astro-ph.GA astro-ph.CO"),
    ]
    assert written("table").splitlines()[0].split("\t") == first
    with_abstracts = written("table", abstracts=True).splitlines()
    assert with_abstracts[0].split("\t") == [*first, "We weigh H₂ in 10¹⁰ M⊙ galaxies."]
    assert len(with_abstracts) == 2


FIRST: dict[str, object] = {
    "rank": 1,
    "match": 74,
    "score": 0.7431,
    "cosine": 0.4,
    "bm25": None,
    "token_match": None,
    "author_match": None,
    "dense_rank": 2,
    "lexical_rank": None,
    "contributions": {},
    "id": "2401.00001",
    "title": r"Cold gas around $z \sim 3$ galaxies",
    "authors": ["Maartje van der Berg", r"B. T\'etl\'as"],
    "categories": ["astro-ph.GA", "astro-ph.CO"],
    "published": "2024-01-02",
    "year": 2024,
    "abstract": r"We weigh H$_2$ in $10^{10}\,M_\odot$ galaxies.",
    "url": "https://arxiv.org/abs/2401.00001",
    "doi": "10.1000/x",
    "journal_ref": None,
    "version": 2,
    "is_summary": False,
}


def test_json_is_one_document_with_the_texts_as_stored(written: Callable[..., str]) -> None:
    document = json.loads(written("json"))
    assert (document["query"], document["index"]) == ("cold gas", "main")
    assert document["hits"][0] == FIRST
    assert [hit["rank"] for hit in document["hits"]] == [1, 2]


def test_jsonl_is_one_hit_a_line(written: Callable[..., str]) -> None:
    lines = written("jsonl").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["2401.00001", "astro-ph/0601001"]
    assert json.loads(lines[0]) == FIRST


def test_csv_has_a_header_and_quotes_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    paper = a_paper('A "quoted", comma-ridden\ntitle')
    render.write_hits([Hit(1, 0.5, paper)], format="csv", query=None, index="main")
    out = capsys.readouterr().out
    assert out.startswith(
        "rank,match,score,cosine,bm25,token_match,author_match,dense_rank,"
        "lexical_rank,contributions,id,title,authors,categories,"
    )
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["title"] == 'A "quoted", comma-ridden title'
    assert row["authors"] == r"Maartje van der Berg; B. T\'etl\'as"
    assert row["categories"] == "astro-ph.GA astro-ph.CO"
    assert row["doi"] == ""


def test_every_format_for_programs_has_the_journal_reference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paper = replace(a_paper(), journal_ref="ApJ 912, 1 (2024)")
    for format in ("json", "jsonl", "csv"):
        render.write_hits([Hit(1, 0.5, paper)], format=format, query=None, index="main")
        assert "ApJ 912, 1 (2024)" in capsys.readouterr().out
    render.write_papers([paper], format="json")
    assert json.loads(capsys.readouterr().out)["journal_ref"] == "ApJ 912, 1 (2024)"


def test_ids_and_bibtex_are_the_papers_alone(written: Callable[..., str]) -> None:
    assert written("ids") == "2401.00001\nastro-ph/0601001\n"
    entries = written("bibtex").split("\n\n")
    assert [entry.splitlines()[0] for entry in entries] == [
        "@misc{2024arXiv240100001V,",
        "@misc{2006astro.ph..1001T,",
    ]


def test_the_footer_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    render.write_hits(HITS, format="ids", query="q", index="main", footer=["Mind the gap."])
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (2, "Mind the gap.\n")


class TestColour:
    @pytest.fixture
    def shown(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., str]:
        def show(**environment: str) -> str:
            for name in ("FORCE_COLOR", "NO_COLOR"):
                monkeypatch.delenv(name, raising=False)
            for name, value in {"TERM": "xterm", "COLUMNS": "80", **environment}.items():
                monkeypatch.setenv(name, value)
            render.write_hits(HITS, format="table", query="q", index="main")
            return capsys.readouterr().out

        return show

    def test_a_pipe_gets_none_unless_it_is_forced(self, shown: Callable[..., str]) -> None:
        assert ESCAPE not in shown()
        assert f"{ESCAPE}[32m   74" in shown(FORCE_COLOR="1")

    def test_no_color_is_honoured(self, shown: Callable[..., str]) -> None:
        assert not re.search(r"\x1b\[[\d;]*3[0-7]m", shown(FORCE_COLOR="1", NO_COLOR="1"))

    def test_an_identifier_links_to_its_page(self, shown: Callable[..., str]) -> None:
        assert "https://arxiv.org/abs/astro-ph/0601001" in shown(FORCE_COLOR="1")


def test_a_paper_is_shown_with_its_facts_and_its_abstract() -> None:
    assert drawn(render.paper_view(a_paper(doi="10.1000/x")), 80) == [
        "Cold gas around z ∼ 3 galaxies",
        "",
        "authors     Maartje van der Berg, B. Tétlás",
        "id          2401.00001v2",
        "date        2024-01-02",
        "categories  astro-ph.GA astro-ph.CO",
        "doi         10.1000/x",
        "url         https://arxiv.org/abs/2401.00001",
        "",
        "We weigh H₂ in 10¹⁰ M⊙ galaxies.",
    ]


def test_a_paper_down_a_pipe_is_plain_wrapped_text(capsys: pytest.CaptureFixture[str]) -> None:
    authors = tuple(f"Author {letter}" for letter in "ABCDEFGHIJKL")
    paper = a_paper(authors=authors, abstract="word " * 60, is_summary=True)
    render.write_paper(paper, format="table")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "Cold gas around z ∼ 3 galaxies",
        "",
        "authors: Author A, Author B, Author C, Author D, Author E, Author F, Author G, Author H, "
        "Author I,",
        "  Author J and 2 more",
    ]
    assert lines[-1] == "(A summary by astrosearch, not the authors' abstract.)"
    assert max(map(len, lines)) <= 100
    assert "\n".join(lines).count("word") == 60


def test_a_paper_as_json_and_as_bibtex(capsys: pytest.CaptureFixture[str]) -> None:
    render.write_paper(HITS[0].paper, format="json")
    record = json.loads(capsys.readouterr().out)
    assert record == {name: FIRST[name] for name in record}
    assert set(FIRST) - set(record) == {
        *("rank", "match", "score", "cosine", "bm25", "token_match", "author_match"),
        *("dense_rank", "lexical_rank", "contributions"),
    }
    render.write_paper(HITS[0].paper, format="bibtex")
    assert capsys.readouterr().out.startswith("@misc{2024arXiv240100001V,\n")


def test_what_a_user_of_bibtex_has_to_mend_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    papers = [a_paper(id=f"2401.0000{number}") for number in range(1, 10)]
    nameless = a_paper(id="2401.00010", authors=())
    foreign = a_paper(id="2401.00011", authors=("張三",))
    for shown, said in (
        (papers, ""),
        ([*papers, nameless], "1 of 10 entries has no author\n"),
        ([nameless], "1 of 1 entry has no author\n"),
        (
            [foreign, foreign],
            "2 of 2 entries have characters that LaTeX lacks, written as [U+...]\n",
        ),
    ):
        render.write_papers(shown, format="bibtex")
        assert capsys.readouterr().err == said
    hits = [Hit(1, 0.5, nameless, match=50)]
    render.write_hits(hits, format="bibtex", query="q", index="main", key="author-year")
    out, err = capsys.readouterr()
    assert out.startswith("@misc{arXiv2024,\n")
    assert err == "1 of 1 entry has no author\n"


@pytest.mark.parametrize(
    ("authors", "shown"),
    [
        ((), ""),
        (("Ana Sol",), "Sol"),
        (("Ana Sol", "Di Wang"), "Sol et al."),
        ((r"B. T\'etl\'as",), "Tétlás"),
        (("A. de la Costa", "B"), "de la Costa et al."),
    ],
)
def test_the_first_author_stands_for_all(authors: tuple[str, ...], shown: str) -> None:
    assert render.first_author(a_paper(authors=authors)) == shown


def test_several_papers_are_pages_objects_of_a_list_lines_and_entries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    papers = [hit.paper for hit in HITS]
    render.write_papers(papers, format="table")
    out = capsys.readouterr().out
    assert out.count("\n\nCold gas") + out.startswith("Cold gas") == 1
    assert "\n\nA long look at the stars" in out
    render.write_papers(papers, format="json")
    assert [record["id"] for record in json.loads(capsys.readouterr().out)] == [
        paper.id for paper in papers
    ]
    render.write_papers(papers, format="jsonl")
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 2
    render.write_papers(papers, format="bibtex")
    assert capsys.readouterr().out.count("@misc{") == 2


HEAD = ("model", "size", "source", "what")
ROWS = [
    ("small-model", "93 MB", "a-package==0.1.2", "a small model that reads abstracts"),
    ("large", "13,500 MB", "somebody/a-large-model", "needs a GPU"),
]


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 160])
def test_a_table_breaks_no_word_at_any_width(width: int) -> None:
    lines = drawn(tables.table_view(HEAD, ROWS, right=(1,), width=width), width)
    words = {word.strip(" ·") for line in lines for word in line.split()}
    assert {word for row in ROWS for field in row for word in field.split()} <= words


def test_a_table_without_room_becomes_blocks() -> None:
    assert drawn(tables.table_view(HEAD, ROWS[:1], width=50), 50) == [
        "small-model",
        "  size 93 MB · source a-package==0.1.2",
        "  a small model that reads abstracts",
        "",
    ]
    lines = drawn(tables.table_view(HEAD, ROWS, right=(1,), width=100), 100)
    assert lines[1].split() == list(HEAD)
    assert lines[3] == (
        " small-model      93 MB  a-package==0.1.2        a small model that reads abstracts"
    )


def test_facts_down_a_pipe_are_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    tables.write_facts({"index": "main", "size": "1 MB\x1b[2J"})
    assert capsys.readouterr().out == "index: main\nsize: 1 MB[2J\n"


@pytest.mark.parametrize("width", [12, 30, 60, 100, 140])
@pytest.mark.parametrize(("abstracts", "explain"), [(False, False), (True, False), (False, True)])
def test_the_table_is_the_one_that_rich_draws(width: int, abstracts: bool, explain: bool) -> None:
    hits = [replace(hit, contributions={"words": 1.25, "meaning": -0.5}) for hit in HITS]

    def signs(*, by_rich: bool) -> list[tuple[str, Style]]:
        console = Console(file=io.StringIO(), width=width, force_terminal=True, record=True)
        table = render.hits_table(hits, width=width, abstracts=abstracts, explain=explain)
        if by_rich:
            table.__class__ = Table
        segments = console.render(table, console.options)
        return [
            (sign, segment.style or Style()) if sign.strip() else (sign, Style())
            for segment in segments
            for sign in segment.text
        ]

    ours, theirs = signs(by_rich=False), signs(by_rich=True)
    assert "".join(sign for sign, _ in ours) == "".join(sign for sign, _ in theirs)
    for (sign, style), (_, expected) in zip(ours, theirs, strict=True):
        assert (style.color, style.bold, style.link) == (
            expected.color,
            expected.bold,
            expected.link,
        ), sign
        assert bool(style.dim) == bool(expected.dim), sign
