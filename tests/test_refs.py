r"""The entries of what a LaTeX document cites."""

import os
import subprocess
from pathlib import Path

import pytest

from astrosearch import atomic
from astrosearch.library import bibtex_text
from astrosearch.library.manuscript import read_manuscript
from astrosearch.text.latex_source import cited_keys
from tests.bibliographies import errors_of_latex
from tests.conftest import Run

OWN = """\
@string{pub = "Harbour Press"}

@incollection{Berg2001,
  author = {Berg, Anna},
  title = {Light},
  publisher = pub,
  crossref = {Ng2001},
}

@book{Ng2001,
  editor = {Ng, C.},
  title = {All the Light},
  year = 2001,
}

@article{wu:11,
  author = {Wu, B.},
  title = {Seeing},
  doi = {10.1000/made(1)9},
  adsurl = {https://ui.adsabs.harvard.edu/abs/2011A%26A...500...12W/abstract},
  year = {2011},
}
"""

MAIN = r"""\documentclass{article}
\begin{document}
\citep[e.g.][]{2411.15044, Berg2001} % \cite{commented}
\verb|\cite{shown}| \input{chapters/one} \include{two}
\textcites[a]{astro-ph/9401008}[b]{2011A&A...500...12W}
\citealias{othr} \citetext{not a key} \cite{2411.99999} \nocite{Riess2019}
\bibliography{refs,other}
\end{document} \cite{behind}
"""


@pytest.fixture
def document(home: Path, run: Run, tmp_path: Path) -> Path:
    """A main file; the library has three papers, and there is an index of the sampler."""
    folder = tmp_path / "paper"
    (folder / "chapters").mkdir(parents=True)
    (folder / "main.tex").write_text(MAIN)
    (folder / "chapters/one.tex").write_text(
        r"\cite{arXiv:2503.14368} \input{main} \cite{Bergg2001}"
    )
    (folder / "other.bib").write_text("@misc{othr, title={Other}}\n")
    (tmp_path / "own.bib").write_text(OWN)
    run("library", "add", tmp_path / "own.bib")
    return folder / "main.tex"


@pytest.fixture
def indexed(sampler_home: Path, home: Path) -> None:
    (home / "indexes").mkdir(exist_ok=True)
    (home / "indexes/sampler").symlink_to(sampler_home / "indexes/sampler")


def keys_of(file: Path) -> list[str]:
    return [entry.key for entry in bibtex_text.parse(file.read_text()).entries]


def test_keys_are_found_behind_every_macro_that_cites() -> None:
    source = (
        r"\cite{a,b} \citep*[see][p. 3]{c} \Citet{d} \nocite{*} \autocites(pre)()[x]{e}[y]{f} "
        r"\parencite<see>[3]{g} \defcitealias{h}{H11} \citestyle{no} \setcitestyle{no} "
        r"\newcommand{\mine}[1]{\cite{#1}} \mycite{i,} \\cite{no} \citeauthor {j} \bibentry{k}"
    )
    assert cited_keys(source) == ["a", "b", "c", "d", "*", "e", "f", "g", "h", "i", "j", "k"]


def test_a_missing_file_is_told_by_its_own_name(run: Run, tmp_path: Path, home: Path) -> None:
    main = tmp_path / "main.tex"
    main.write_text(r"\input{method.tex} \input{intro} \cite{2503.14368}")
    said = run("refs", main, code=4).stderr
    assert "method.tex is not there" in said
    assert "intro.tex is not there" in said
    assert ".tex.tex" not in said


def test_entries_are_written_under_the_keys_of_the_document(
    run: Run, document: Path, indexed: None
) -> None:
    out = document.with_name("refs.bib")
    said = run("refs", document, "--out", out, code=4).stderr
    assert "3 of 9 keys were not found" in said
    written = ["2411.15044", "Berg2001", "Ng2001", "astro-ph/9401008", "2011A&A...500...12W"]
    assert keys_of(out) == [*written, "arXiv:2503.14368"]
    assert "5 entries written (2 of the library, 3 of the index); 1 in other.bib" in said
    assert "two.tex is not there" in said
    assert "2411.99999 is neither in the library nor in index sampler" in said
    assert "Riess2019 is neither a key of the library nor an identifier" in said
    assert (
        "Bergg2001 is neither a key of the library nor an identifier; spelled much like it" in said
    )
    assert "3 of 9 keys were not found" in said
    for absent in ("commented", "shown", "behind"):
        assert absent not in said
    assert out.read_text().startswith('@string{pub = "Harbour Press"}\n')
    assert document.read_text() == MAIN


def test_files_of_one_name_in_different_folders_are_all_read(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "text.tex").write_text(rf"\cite{{{folder}}}")
    main = tmp_path / "main.tex"
    main.write_text(r"\input{a/text} \input{b/text}")
    assert read_manuscript(main).keys == ("a", "b")


def test_a_file_that_is_there_is_added_to_and_else_stays_as_it_is(
    run: Run, document: Path, indexed: None
) -> None:
    out = document.with_name("refs.bib")
    mine = (
        "% mine\r\n@STRING(pub = {My Press})\r\n@misc{2411.15044,\r\n title={Mine}\r\n}\r\n@half{"
    )
    out.write_bytes(mine.encode())
    out.chmod(0o640)
    said = run("refs", document, "--out", out, code=4).stderr
    assert "1 there already" in said
    content = out.read_bytes().decode()
    assert content.startswith(mine)
    assert content.count("\n") == content.count("\r\n")
    assert "publisher = {Harbour Press}" in content  # pub means something else here
    assert out.stat().st_mode & 0o777 == 0o640
    again = run("refs", document, "--out", out, code=4).stderr
    assert "0 entries written; 5 there already" in again
    assert out.read_bytes().decode() == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"My notes\n", "is not BibTeX"),
        (b"@misc{a, title={\xe9}}\n", "is not UTF-8"),
        (b"\0" * 10, "is not BibTeX"),
    ],
)
def test_a_file_of_another_kind_is_not_touched(
    run: Run, document: Path, content: bytes, reason: str
) -> None:
    out = document.with_name("refs.bib")
    out.write_bytes(content)
    assert reason in run("refs", document, "--out", out, code=2).stderr
    assert out.read_bytes() == content


def test_what_cannot_be_read_is_one_line(run: Run, document: Path, tmp_path: Path) -> None:
    out = document.with_name("refs.bib")
    for wrong, reason in (
        (tmp_path / "none.tex", "is not there"),
        (tmp_path, "is not a file"),
        (document.with_name("other.bib"), "cites nothing"),
    ):
        said = run("refs", wrong, "--out", out, code=2).stderr
        assert reason in said
        assert said.count("\n") == 1
    (tmp_path / "binary.tex").write_bytes(b"\\cite{a}\0")
    assert "is not a text" in run("refs", tmp_path / "binary.tex", code=2).stderr
    os.mkfifo(tmp_path / "pipe.tex")
    assert "is not a file" in run("refs", tmp_path / "pipe.tex", code=2).stderr
    assert "is not a file" in run("refs", document, "--out", tmp_path, code=2).stderr
    nowhere = tmp_path / "no/such/refs.bib"
    assert "cannot write" in run("refs", document, "--out", nowhere, code=1).stderr
    assert not out.exists()


def test_without_an_index_the_library_is_enough(run: Run, document: Path) -> None:
    document.write_text(r"\cite{wu:11} and \cite{10.1000/made(1)9}")
    result = run("refs", document)
    assert result.stdout.count("@article{") == 2
    assert "10.1000/made(1)9 is the same paper as wu:11: cite it by one key" in result.stderr


@pytest.mark.slow
def test_bibtex_takes_what_is_written(
    run: Run, document: Path, indexed: None, tmp_path: Path
) -> None:
    body = r"\cite{Berg2001} \cite{2011A&A...500...12W} \cite{astro-ph/9401008}"
    document.write_text(body)
    run("refs", document, "--out", tmp_path / "refs.bib")
    body += "\n\\bibliographystyle{plainnat}\n\\bibliography{refs}"
    errors_of_latex(tmp_path, body)
    said = subprocess.run(["bibtex", "document"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
    for key in ("Berg2001", "2011A&A...500...12W", "astro-ph/9401008"):
        assert f"{{{key}}}" in (tmp_path / "document.bbl").read_text()
    assert not errors_of_latex(tmp_path, body)


def test_a_link_stays_a_link_and_a_device_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic.whole_file(tmp_path / "link") as stream:
        stream.write(b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"after"
    with atomic.whole_file(Path("/dev/null")) as stream:
        stream.write(b"gone")
    assert Path("/dev/null").is_char_device()
