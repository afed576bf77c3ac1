"""What a paper or a draft should cite: `astrosearch cite`, and what it reads of drafts."""

import json
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from astrosearch import open_index
from astrosearch.errors import InputError
from astrosearch.library.draft import Draft, read_draft
from astrosearch.text import latex_source
from tests.conftest import Run
from tests.eight_papers import DISKS, PAPERS, lines_of

TODAY = date(2020, 7, 1)


@pytest.fixture
def papers(eight_papers: Path, home: Path) -> None:
    """An index of eight made-up papers, one a year, each of the middle of January."""
    shutil.copytree(eight_papers / "indexes", home / "indexes")


def ids(run: Run, *arguments: object, stdin: str | None = None) -> list[str]:
    return run("cite", *arguments, "--format", "ids", stdin=stdin).stdout.split()


Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a file of a draft and gives its path."""

    def write(text: str | bytes, name: str = "draft.tex") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


DRAFT = r"""
\documentclass{article}
\title{Planets in dusty discs}
\author{Ada Berg}
\date{March 2016}
\begin{document}
\begin{abstract}
We study planets that form in the dusty disc around a young star \citep{1303.0003}.
\end{abstract}
It was shown before \cite{rings}.
\bibliography{refs}
\end{document}
"""
REFS = """
@article{rings, author={Berg, A. and Wu, T.}, title={{Rings of Dust around Young Stars}}}
@article{traps, eprint={1404.0004}, title={Dust traps and planets}}
@article{lost, author={Nobody, N.}, title={A paper that is nowhere}}
"""


# --- a paper of the index ---


@pytest.mark.usefixtures("papers")
def test_a_paper_gets_papers_like_it_that_are_not_later(run: Run) -> None:
    for name in ("1505.00005", "arXiv:1505.00005v2", "10.1000/made.4"):
        found = ids(run, name)
        assert set(found) == {"1101.0001", "1202.0002", "1303.0003", "1404.0004"}
    assert set(ids(run, "1505.00005", "--before", "2013")) == {
        "1101.0001",
        "1202.0002",
        "1303.0003",
    }
    assert set(ids(run, "1505.00005", "--before", "2018")) == PAPERS.keys() - {"1505.00005"}
    assert set(ids(run, "1505.00005", "--since", "2013")) == {"1303.0003", "1404.0004"}
    assert len(ids(run, "1505.00005", "-k", 2)) == 2
    assert "until 2010-12-31" in run("cite", "1505.00005", "--before", 2010, code=4).stderr


@pytest.mark.usefixtures("papers")
def test_papers_of_the_same_authors_are_left_out_by_family_name_and_initial(run: Run) -> None:
    # Tom Wu wrote 1101.0001 with Ada Berg; Bob Wu is somebody else.
    assert set(ids(run, "1505.00005", "--no-self")) == {"1202.0002", "1303.0003", "1404.0004"}
    assert len(ids(run, "1505.00005", "--no-self", "-k", 3)) == 3


def test_an_author_beyond_the_hundredth_is_one_of_the_authors(run: Run, tmp_path: Path) -> None:
    many = ", ".join(f"Ann Member{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(140))
    papers = {
        "1101.0001": ("Rings of dust around young stars", DISKS, "Zoe Last, Mia Vance", "2011"),
        "1202.0002": ("Gaps that planets open in discs", DISKS, "Nia Okafor", "2012"),
        "1303.0003": ("How discs lose their gas", DISKS, f"{many}, Zoe Last", "2013"),
    }
    corpus = tmp_path / "papers.jsonl"
    corpus.write_text("".join(f"{line}\n" for line in lines_of(papers)))
    run("index", "many", "--corpus", corpus)
    assert set(ids(run, "1303.0003")) == {"1101.0001", "1202.0002"}
    assert ids(run, "1303.0003", "--no-self") == ["1202.0002"]


@pytest.mark.usefixtures("papers")
def test_what_explains_the_order_is_shown_and_more_hits_do_not_change_the_first(run: Run) -> None:
    answer = json.loads(run("cite", "1808.00008", "--format", "json").stdout)
    assert answer["query"] == "1808.00008"
    hits = answer["hits"]
    assert hits[0]["id"] == "1707.00007"
    assert "is_cited" not in hits[0]
    assert {"words", "meaning", "authors", "age"} <= hits[0]["contributions"].keys()
    matches = [hit["match"] for hit in hits]
    assert matches == sorted(matches, reverse=True)
    (line, *_) = run("cite", "1808.00008", "--explain").stdout.splitlines()
    cosine = float(line.split("\t")[8])
    assert cosine == pytest.approx(hits[0]["cosine"], abs=1e-3)
    with open_index() as searcher:
        few = [hit.paper.id for hit in searcher.cite(["1808.00008"], 3)]
        many = [hit.paper.id for hit in searcher.cite(["1808.00008"], 1000)]
    assert few == many[:3]
    assert len(many) == 7


@pytest.mark.usefixtures("papers")
def test_a_name_that_is_neither_file_nor_paper_costs_one_line(run: Run, tmp_path: Path) -> None:
    for what, code, said in (
        ("draft.tex", 2, "neither a file nor an identifier"),
        (tmp_path, 2, "is a folder"),
        ("", 2, "the name of a file is empty"),
        ("1505.99999", 4, "1505.99999"),
        ("10.1000/none", 4, "no paper of index papers is known to have it"),
    ):
        error = run("cite", what, code=code).stderr
        assert said in error
        assert error.count("\n") == 1


# --- drafts ---


@pytest.mark.usefixtures("papers")
def test_a_latex_draft_gets_what_it_does_not_cite_yet(run: Run, written: Written) -> None:
    draft = written(DRAFT)
    written(REFS, "refs.bib")
    result = run("cite", draft, "--format", "ids")
    # Not what it cites; what the .bib has beside that counts as not cited; nothing later.
    assert set(result.stdout.split()) == {"1202.0002", "1404.0004", "1505.00005", "1606.00006"}
    assert "2 references: 2 are in index papers and are left out" in result.stderr
    assert set(ids(run, draft, "--no-self")) == {"1404.0004", "1505.00005", "1606.00006"}
    assert set(ids(run, draft, "--before", "2014-12")) == {"1202.0002", "1404.0004"}


@pytest.mark.usefixtures("papers")
def test_what_is_cited_is_marked_instead_where_that_is_asked_for(
    run: Run, written: Written
) -> None:
    draft = written(DRAFT)
    written(REFS, "refs.bib")
    answer = json.loads(run("cite", draft, "--mark-cited", "--format", "json").stdout)
    marked = {hit["id"]: hit["is_cited"] for hit in answer["hits"]}
    assert marked.keys() == PAPERS.keys() - {"1707.00007", "1808.00008"}
    assert {paper_id for paper_id, is_cited in marked.items() if is_cited} == {
        "1101.0001",
        "1303.0003",
    }
    lines = run("cite", draft, "--mark-cited").stdout.splitlines()
    assert {line.split("\t")[2]: line.split("\t")[7] for line in lines} == {
        paper_id: "cited" if is_cited else "" for paper_id, is_cited in marked.items()
    }
    assert "is_cited" in run("cite", draft, "--mark-cited", "--format", "csv").stdout


@pytest.mark.usefixtures("papers")
def test_the_papers_of_a_bibtex_file_ask_together(run: Run, written: Written) -> None:
    bib = written(REFS, "refs.bib")
    result = run("cite", bib, "--format", "ids")
    found = result.stdout.split()
    assert set(found) == PAPERS.keys() - {"1101.0001", "1404.0004"}
    assert set(found[:4]) == {"1202.0002", "1303.0003", "1505.00005", "1606.00006"}
    assert "3 references: 2 are" in result.stderr
    marked = json.loads(run("cite", bib, "--mark-cited", "--format", "json").stdout)["hits"]
    assert {hit["id"] for hit in marked if hit["is_cited"]} == {"1101.0001", "1404.0004"}
    nothing = written("@misc{x, title={Nowhere at all}}", "none.bib")
    assert (
        "no paper of none.bib is known to be in index papers" in run("cite", nothing, code=4).stderr
    )


@pytest.mark.usefixtures("papers")
def test_a_text_on_standard_input_asks(run: Run) -> None:
    text = "A neutron star's crust\n\nIt cracks and breaks in glitches and bursts."
    assert set(ids(run, "-", "-k", 2, stdin=text)) == {"1707.00007", "1808.00008"}
    assert "1808.00008" not in ids(run, "-", "--before", 2017, stdin=text)
    # LaTeX and BibTeX are told by what they hold.
    assert "1303.0003" not in ids(run, "-", stdin=DRAFT)
    assert "1404.0004" not in ids(run, "-", stdin=REFS)


@pytest.mark.usefixtures("papers")
def test_files_that_tell_nothing_cost_one_line(run: Run, written: Written) -> None:
    for content, name, said in (
        (b"", "empty.tex", "empty.tex is empty"),
        (b"\x00\x01\x02", "draft.pdf", "is not a text"),
        (rb"\documentclass{book}\begin{document}x", "book.tex", r"neither a \title nor"),
        (b"no entries here", "bad.bib", "no BibTeX entry"),
    ):
        error = run("cite", written(content, name), code=2).stderr
        assert said in error
        assert error.count("\n") == 1


@pytest.mark.usefixtures("papers")
def test_options_without_anything_to_act_on_are_refused(run: Run, written: Written) -> None:
    bib = written(REFS, "refs.bib")
    for arguments, said in (
        (("1505.00005", "--mark-cited"), "nothing to mark"),
        ((bib, "--no-self"), "refs.bib does not say who writes the draft"),
        ((written("Dust.", "note.txt"), "--no-self"), "does not say who writes the draft"),
        ((written("Dust.", "note.txt"), "--mark-cited"), "no references of the draft are known"),
        ((bib, "--mark-cited", "--format", "ids"), "cannot be seen"),
        (
            ("1505.00005", "--since", 2016),
            "is proposed for 1505.00005",
        ),
        (
            ("1505.00005", "--since", 2013, "--before", 2012),
            "--since 2013-01-01 leaves nothing: no paper later than 2012-12-31",
        ),
    ):
        error = run("cite", *arguments, code=2).stderr
        assert said in error
        assert error.count("\n") == 1


# --- what is read of LaTeX ---


def of_latex(source: str, folder: Path = Path()) -> Draft:
    return read_draft("draft.tex", source.encode(), today=TODAY, folder=folder)


def test_title_abstract_authors_and_date_are_read_from_what_journals_ask_for() -> None:
    aastex = of_latex(
        r"""\documentclass{aastex631} % \title{Not this}
        \newcommand{\gal}{NGC\,1068\xspace}
        \title[short]{The torus of \gal{}\footnote{Made up {here}.} at 95\% \\ resolution}
        \author[0000-0001-0002]{Violeta G\'amez}
        \affiliation{Leiden Observatory}
        \author{Anna van der Berg\altaffilmark{1,2}}
        \date{2016-05-04}
        \begin{abstract} We map \gal\ \citep[see][p.~5]{a,b}. % a secret
        It is warm. \end{abstract}"""
    ).paper
    assert aastex is not None
    assert aastex.title == r"The torus of NGC\,1068 at 95\% resolution"
    assert aastex.abstract == r"We map NGC\,1068\ . It is warm."
    assert aastex.authors == ("Violeta Gámez", "Anna van der Berg")
    assert aastex.published == date(2016, 5, 4)

    aanda = of_latex(
        r"""\title{Dust} \author{A. Berg\inst{1}\fnmsep\thanks{of $x$} \and Nia Okafor\inst{2}}
        \institute{Leiden \and Kyoto}
        \date{Received September 15, 1996; accepted March 16, 1997}
        \abstract{One.}{Two.} {}
        {Three {nested}.}{Four.}"""
    ).paper
    assert aanda is not None
    assert aanda.authors == ("A. Berg", "Nia Okafor")
    assert aanda.abstract == "One. Two. Three {nested}. Four."
    assert aanda.published == date(1997, 3, 16)

    mnras = of_latex(
        r"""\title[Dust]{Dust}
        \author[K. Roe et al.]{Kay T. Roe,$^{1}$\thanks{E-mail: k@x.org} A. N. Other$^{2,3}$
        \newauthor and Third Poe$^{3}$
        \\
        $^{1}$Royal Society, London}
        \begin{abstract}It.\end{abstract}"""
    ).paper
    assert mnras is not None
    assert mnras.authors == ("Kay T. Roe", "A. N. Other", "Third Poe")
    assert mnras.published == TODAY

    article = of_latex(
        r"""\title{Dust}\author{Ann Roe\\Leiden \and Bo Poe\\Kyoto}\date{\today}
        \begin{abstract}It.\end{abstract}"""
    ).paper
    assert article is not None
    assert article.authors == ("Ann Roe", "Bo Poe")
    assert article.published == TODAY


def test_references_are_read_from_cites_items_and_files(tmp_path: Path) -> None:
    (tmp_path / "refs.bib").write_text(REFS + "@article{broken, title={Never ends\n")
    draft = of_latex(
        r"""\title{Dust} \begin{abstract}It.\end{abstract}
        \cite{rings,2016arXiv160501938H} \citet*[e.g.][]{lost} % \cite{traps}
        \citestyle{aa} \nocite{1606.00006}
        \bibliography{refs,missing}
        \begin{thebibliography}{9}
        \bibitem[{Poe} {et~al.}(2015)Poe]{poe15} S. Poe, arXiv:1505.00005
        \bibitem{plain} N. Okafor, \href{https://doi.org/10.1000/made.2}{ApJ}
        \end{thebibliography}
        \input{sections/intro}""",
        tmp_path,
    )
    assert [entry.key for entry in draft.references] == [
        "rings",
        "2016arXiv160501938H",
        "lost",
        "1606.00006",
        "poe15",
        "plain",
    ]
    notes = "\n".join(draft.notes)
    assert "sections/intro.tex is not there" in notes
    assert "missing.bib cannot be read (No such file or directory)" in notes
    assert "refs.bib line 5: the entry does not end" in notes


@pytest.mark.usefixtures("papers")
def test_keys_and_items_that_name_a_paper_are_cited(run: Run, written: Written) -> None:
    draft = written(
        r"""\title{Planets in dusty discs} \date{2019}
        \begin{abstract}Planets that form in the dusty disc around a young star.\end{abstract}
        \cite{2016arXiv160600006P} \nocite{1404.0004}
        \begin{thebibliography}{9}
        \bibitem[{Wu}(2015)]{wu15} T. Wu, arXiv:1505.00005
        \bibitem{plain} N. Okafor, \href{https://doi.org/10.1000/made.2}{ApJ}
        \end{thebibliography}"""
    )
    found = ids(run, draft)
    assert set(found) == {"1101.0001", "1202.0002", "1707.00007", "1808.00008"}


def test_files_that_a_draft_reads_in_belong_to_it(tmp_path: Path) -> None:
    (tmp_path / "refs.bib").write_text(REFS)
    for folder, key in (("one", "rings"), ("two", "traps")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "text.tex").write_text(rf"\cite{{{key}}} % \cite{{no}}")
    (tmp_path / "macros.tex").write_text(r"\newcommand{\gal}{NGC 1068}")
    (tmp_path / "summary.tex").write_text(
        r"\begin{abstract}The torus of \gal.\end{abstract} \input{draft} \include{two/text}"
    )
    draft = of_latex(
        r"""\input{macros} \title{The dust of \gal} \author{Ada Berg}
        \begin{document} \input summary \include{one/text} \bibliography{refs} \end{document}""",
        tmp_path,
    )
    assert draft.paper is not None
    assert draft.paper.title == "The dust of NGC 1068"
    assert draft.paper.abstract == "The torus of NGC 1068."
    assert [entry.key for entry in draft.references] == ["rings", "traps"]
    assert draft.notes == ()


@pytest.mark.usefixtures("papers")
def test_what_a_file_of_the_draft_cites_is_left_out(
    run: Run, written: Written, tmp_path: Path
) -> None:
    draft = written(DRAFT.replace("It was shown", r"\input{intro} It was shown"))
    (tmp_path / "intro.tex").write_text("")
    before = ids(run, draft)
    (tmp_path / "intro.tex").write_text(rf"\cite{{{before[0]}}}")
    assert ids(run, draft) == before[1:]


def test_all_of_a_file_is_cited_where_the_draft_says_so(tmp_path: Path) -> None:
    (tmp_path / "refs.bib").write_text(REFS)
    draft = of_latex(r"\title{Dust}\nocite{*}\bibliography{refs}", tmp_path)
    assert [entry.key for entry in draft.references] == ["rings", "traps", "lost"]
    assert any("no abstract" in note for note in draft.notes)


def test_a_file_in_latin_1_is_read_and_said_to_be() -> None:
    draft = read_draft(
        "draft.tex",
        "\\title{Staub}\n\\author{J. Müller}".encode("latin-1"),
        today=TODAY,
        folder=Path(),
    )
    assert draft.paper is not None
    assert draft.paper.authors == ("J. Müller",)
    assert "draft.tex line 2 is not UTF-8" in draft.notes[0]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Received 2015 March 3; accepted 2015 June 30", date(2015, 6, 30)),
        ("Accepted 2015 December 1. Received 2015 November 30", date(2015, 12, 1)),
        ("3 March 2016 and 2016 May", date(2016, 5, 31)),
        ("2014 Jan.", date(2014, 1, 31)),
        ("2014/06/03", date(2014, 6, 3)),
        ("2015/2016", date(2016, 12, 31)),
        ("the 3rd of June, 2014", date(2014, 6, 3)),
        (r"Draft of 3$^{rd}$ June~2014\\March 12, 2015", date(2015, 3, 12)),
        ("15 January 2016, March 2017", date(2017, 3, 31)),
        ("2017-03-12", date(2017, 3, 12)),
        ("version 20170312", date(2017, 3, 12)),
        ("12.03.2017", date(2017, 3, 12)),
        ("12 March 2017", date(2017, 3, 12)),
        ("March 2017", date(2017, 3, 31)),
        ("February 2016", date(2016, 2, 29)),
        ("2016", date(2016, 12, 31)),
        ("03/12/2017", date(2017, 12, 31)),
        ("Received 20 December 2018; LIGO-P2019123, arXiv:2005.01234", date(2018, 12, 20)),
        ("Received 20 December 2018; in 2099", date(2018, 12, 20)),
    ],
)
def test_dates_are_read_as_journals_print_them(text: str, day: date) -> None:
    draft = of_latex(rf"\title{{Dust}}\date{{{text}}}")
    assert draft.paper is not None
    assert draft.paper.published == day


@pytest.mark.parametrize(
    "text", ["in preparation", "arXiv:1905.01234", "arXiv:2005.01234", "31 February 2017", "1985"]
)
def test_a_date_that_is_not_understood_is_today_and_told(text: str) -> None:
    draft = of_latex(rf"\title{{Dust}}\date{{{text}}}")
    assert draft.paper is not None
    assert draft.paper.published == TODAY
    assert any("is not understood" in note for note in draft.notes)


def test_a_file_beyond_any_draft_is_refused() -> None:
    from astrosearch.library.draft import LARGEST

    with pytest.raises(InputError, match="up to 20 MB"):
        read_draft("draft.tex", b"x" * (LARGEST + 1), today=TODAY, folder=Path())


def test_comments_go_and_percent_signs_stay() -> None:
    source = "a 5\\% b % c\n  d \\\\% e\nf\n\\iffalse g \\fi\n\\begin{comment}h\\end{comment}i"
    text = latex_source.without_comments(source + "\n\\end{document} j")
    assert text.split() == ["a", "5\\%", "b", "d", "\\\\f", "i"]


def test_macros_that_hold_themselves_end() -> None:
    macros = latex_source.own_macros(r"\def\a{\b\b\b\b} \newcommand\b{\a\a\a\a} \def\c#1{x}")
    assert macros.keys() == {"a", "b"}
    assert len(latex_source.expanded(r"\a" * 10, macros)) <= latex_source.LONGEST_EXPANDED


def test_braces_that_do_not_close_end_with_the_file() -> None:
    assert list(latex_source.arguments(r"\title{never {ends} ", "title")) == ["never {ends} "[:-1]]


@pytest.mark.parametrize(
    "part",
    [
        r"\newcommand{\a}{b ",
        r"\newcommand{\a}{b} ",
        r"\newcommand{\a}{\newcommand{\b}{",
        r"\newcommand          ",
        r"\iffalse ",
        r"\begin{verbatim}",
        r"\begin{comment}",
        r"\begin{abstract}",
        r"\author{A. Berg",
        r"\footnote{A ",
        r"\bibitem{a} ``Dust ",
        r"\bibitem[{a",
        r"\bibinfo{title}{",
        r"{\it Dust",
        "january",
        r"\cite[a",
    ],
)
def test_the_time_of_a_hostile_draft_grows_with_its_length(part: str) -> None:
    hostile = part * (200_000 // len(part))
    start = time.process_time()
    of_latex(rf"\title{{Dust}} \begin{{abstract}}It.\end{{abstract}} \date{{2016}} {hostile}")
    of_latex(rf"\title{{Dust}} \bibitem{{a}} {hostile}")
    of_latex(rf"\title{{Dust}} \date{{{hostile}")
    assert time.process_time() - start < 10


def test_what_has_no_end_stays_and_what_has_one_goes() -> None:
    source = r"\begin{comment}a\end{comment} \iffalse b \begin{comment}c\end{comment} d"
    assert latex_source.without_comments(source).split() == [r"\iffalse", "b", "d"]
    source = r"\verb|\begin{verbatim}| a \begin{verbatim}\verb|\end{verbatim} b \verb+c"
    assert latex_source.without_verbatim(source).split() == ["a", "b", r"\verb+c"]


def test_macros_that_only_set_a_name_cite_nothing() -> None:
    source = (
        r"\bibitem[\protect\citeauthoryear{Katz}{2016}]{k16} \citenamefont {Carlberg}"
        r"\bibnamefont{Berg} \citestyle{aa} \citeauthor*{a} \citeyearpar[see][]{b} \footcite{c}"
        r"\Citealt{d} \citealp{e} \nocite{f} \Parencite*[3]{g}"
    )
    assert latex_source.cited_keys(source) == ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("item", "title"),
    [
        (r"A. Berg, ``Rings of \"old dust,'' {\it ApJ} (2011)", r"Rings of \"old dust,"),
        ('M\\"uller, "Rings of dust", ApJ', "Rings of dust"),
        (r"Berg A., {\it et al.}, \emph{Rings of dust}, 2011", "Rings of dust"),
        (
            r"A. Berg. \newblock Rings of dust. \newblock {\em Dust and its Rings}, 1.",
            "Rings of dust.",
        ),
        (r"\bibfield {title} {\bibinfo {title} {Rings of {D}ust},\ }", "Rings of {D}ust"),
        ("Berg A., 2011, ApJ, 1, 2", ""),
    ],
)
def test_the_title_of_an_item_is_told_by_its_marks(item: str, title: str) -> None:
    assert latex_source.title_of_item(item) == title


@pytest.mark.usefixtures("papers")
def test_an_item_with_the_title_of_a_paper_is_cited(run: Run, written: Written) -> None:
    draft = written(
        rf"""\title{{Planets in dusty discs}}
        \begin{{thebibliography}}{{9}}
        \bibitem{{x}} A. Berg, ``{PAPERS["1101.0001"][0]},'' ApJ (2011).
        \bibitem{{y}} N. Nobody, \emph{{A paper that is nowhere}}, 2012.
        \end{{thebibliography}}"""
    )
    result = run("cite", draft, "--format", "ids")
    assert "2 references: 1 is in index papers and is left out" in result.stderr
    assert "1101.0001" not in result.stdout.split()


def test_the_bbl_beside_a_draft_stands_for_a_missing_bib(tmp_path: Path) -> None:
    (tmp_path / "draft.bbl").write_text(
        r"""\begin{thebibliography}{}
        \providecommand \citenamefont [1]{#1}%
        \bibitem[{{Poe}(2015)}]{poe15} Poe, S. 2015, arXiv:1505.00005
        \end{thebibliography}"""
    )
    source = r"\title{Dust} \begin{abstract}It.\end{abstract} \cite{poe15} \bibliography{refs}"
    draft = of_latex(source, tmp_path)
    assert [entry.key for entry in draft.references] == ["poe15"]
    assert "arXiv:1505.00005" in draft.references[0].fields["note"]
    (note,) = draft.notes
    assert "refs.bib is not there: draft.bbl is read" in note
    (tmp_path / "refs.bib").write_text("@misc{poe15, eprint={1505.00005}}")
    draft = of_latex(source, tmp_path)
    assert "eprint" in draft.references[0].fields
    assert draft.notes == ()


@pytest.mark.usefixtures("papers")
def test_the_bbl_of_biblatex_is_read(run: Run, written: Written) -> None:
    written(
        rf"""\entry{{rings}}{{article}}{{}}
        \field{{title}}{{{PAPERS["1101.0001"][0]}}}
        \endentry
        \entry{{poe}}{{online}}{{}}
        \verb{{eprint}}
        \verb 1303.0003
        \endverb
        \endentry""",
        "draft.bbl",
    )
    draft = written(r"\title{Planets in dusty discs} \cite{rings,poe} \printbibliography")
    result = run("cite", draft, "--format", "ids")
    assert "2 references: 2 are in index papers" in result.stderr
    assert not {"1101.0001", "1303.0003"} & set(result.stdout.split())


@pytest.mark.usefixtures("papers")
def test_latex_without_a_title_is_not_taken_for_a_text(run: Run, written: Written) -> None:
    for source in (
        r"\section{Dust} It is warm.",
        r"It is warm \citep[see][]{1303.0003}.",
        r"\begin{equation}a\end{equation}",
        r"\documentclass{article}",
    ):
        for error in (
            run("cite", "-", stdin=source, code=2).stderr,
            run("cite", written(source), code=2).stderr,
        ):
            assert r"has neither a \title nor an abstract" in error
            assert error.count("\n") == 1
    bib = r"@article{a, eprint={1404.0004}, abstract={As \cite{b} \begin{it}x\end{it}}}"
    assert "1404.0004" not in ids(run, "-", stdin=bib)
