"""What reads BibTeX, for tests: two parsers, and a real LaTeX with a real BibTeX."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import bibtexparser
import pybtex.database
import pytest
from bibtexparser.middlewares import SeparateCoAuthors, SplitNameParts

from astrosearch.text.tex import to_unicode

HOSTILE = [
    *(r"\input{/etc/passwd}", r"\input /etc/passwd", r"\@@input /etc/passwd ", r"\write18{ls}"),
    *(r"\immediate\write18{ls}", r"\openin5=/etc/passwd \read5 to\x\x", r"\end{document}"),
    *(r"\begin{document}", r"\begin{filecontents}{x}y\end{filecontents}", r"\def\x{\x}\x"),
    *(r"\csname input\endcsname{x}", r"\catcode`\@=0 @input x", "^^5cinput{x}", r"\endinput"),
    *(r"\loop\iftrue\repeat", r"\let\par\undefined", r"\verb|\input|", r"\scantokens{\input x}"),
    *(r"\directlua{os.exit()}", r"\usepackage{shellesc}", r"\newcommand{\x}{}", r"\makeatletter"),
    *("{", "}", "{{{", "}}}", "}{", "$", "$$", "$$$", "$ $", "\\", "\\\\", "\\{", "\\}", r"{\}"),
    *(
        "\\$",
        "$\\",
        "{$",
        "$}",
        "$_",
        "$^",
        "_",
        "^",
        "__",
        "^^",
        "~",
        "&",
        "#",
        "%",
        "|",
        "<",
        ">",
    ),
    *("50% of A & B, #1", "~7", "a_b^c", "x_", "x^", "$x_$", "$x^$", "$_x$", "$^x$", "$x^a^b$"),
    *(
        "$x_a_b$",
        "$x'^2$",
        "$x^2'$",
        "$x''_1'$",
        r"$\frac$",
        r"$\frac1$",
        r"$\sqrt$",
        r"\sqrt[3]{x}",
    ),
    *(r"\'", r"\'{}", r"\'\'e", r"\v", r"$\'e$", r"$\AA$", r"\hat", r"$\text{a $x$ b}$", r"\left("),
    *(
        r"$\left.x\right\}$",
        r"\over",
        r"$a \over b \over c$",
        r"\limits",
        r"$\not$",
        r"\mathbb{a1}",
    ),
    *(
        r"$\cal abc$",
        r"{\bf",
        r"\it\it",
        r"\ensuremath",
        r"\ensuremath{\alpha_1}",
        r"\ensuremath\mu",
    ),
    *("@misc{evil, title = {x}}", "closed}, @misc{evil, title = {x}", '"quoted"', "?`", "!`", "''"),
    *("two\nlines", "\x00\x07\x1b[2J", "a\u202eb\u2066c", "zero\u200bwidth", "soft\u00adhyphen"),
    *("ą ę đ ð þ ŋ", "ế ǻ ǿ ṩ", "e\u0301\u0323\u0308", "\u0301", " \u0303 5", "1\u0305"),
    *("Z̸̢̛a̷͓̿l̴g̶̡o̸", "北京", "שלום", "مرحبا", "Привет", "Ωμέγα", "🔭🌌", "👩‍🔬", "\U0001f1eb\U0001f1f7"),
    *("ΛCDM", "M⊙", "10⁻³", "H₂O", "30° 5′ 7″", "½ ⅓", "ﬁne", "𝑀𝐇", "Ⅳ", "㎞", "≲ ≳ ∼ ± × − – —"),
    *(
        "“x” ‘y’ «z» „a‘",
        "…",
        "€£©®™§¶",
        "\ufffd",
        "\ue000",
        "\U000f0001",
        "\ud7ff",
        "x\u00a0y\u2009z",
    ),
    *("{" * 400, "$" * 401, "\\" * 401, "{$" * 200, "^" * 400, "\\frac" * 200, "a_" * 300),
    r"https://example.org/~a/b_c%20d#e",
    r"\href{https://example.org/a_b}{text} \url{x_y%z}",
]
"""What a title, a name or a journal reference may hold."""


class Author(NamedTuple):
    """An author as a parser of BibTeX reads one, in Unicode and without braces."""

    family: str
    given: str = ""
    suffix: str = ""


class Entry(NamedTuple):
    kind: str
    key: str
    authors: list[Author]
    fields: dict[str, str]
    """All but the authors, as they are written between the outer braces."""


def _plain(words: Sequence[str]) -> str:
    return to_unicode(" ".join(words))


def read_by_bibtexparser(bibliography: str) -> list[Entry]:
    names = [SeparateCoAuthors(), SplitNameParts()]
    library = bibtexparser.parse_string(bibliography, append_middleware=names)
    assert library.failed_blocks == []
    entries = []
    for entry in library.entries:
        fields = {field.key: field.value for field in entry.fields}
        authors = [
            Author(_plain([*name.von, *name.last]), _plain(name.first), _plain(name.jr))
            for name in fields.pop("author", ())
        ]
        entries.append(Entry(entry.entry_type, entry.key, authors, fields))
    return entries


def read_by_pybtex(bibliography: str) -> list[Entry]:
    entries = pybtex.database.parse_string(bibliography, "bibtex").entries
    return [
        Entry(
            entry.type,
            key,
            [
                Author(
                    _plain([*person.prelast_names, *person.last_names]),
                    _plain([*person.first_names, *person.middle_names]),
                    _plain(person.lineage_names),
                )
                for person in entry.persons.get("author", ())
            ],
            dict(entry.fields),
        )
        for key, entry in entries.items()
    ]


PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{amssymb,natbib,url}
"""


def errors_of_latex(folder: Path, body: str) -> list[str]:
    """What pdfLaTeX has against a document. The test is skipped where it is not installed.

    Characters that a font lacks count too: they are missing in the document.
    """
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not on this machine: apt-get install texlive-latex-base")
    (folder / "document.tex").write_text(
        f"{PREAMBLE}\\begin{{document}}\n{body}\n\\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-file-line-error", "-draftmode", "document"]
    run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "document.log").read_text(errors="replace")
    errors = re.findall(r"^(?:\./\S+:\d+: .*|! .*|Missing character: .*)", log, re.MULTILINE)
    assert errors or run.returncode == 0, log[-2000:]
    assert "(/etc/" not in log  # no file was read that a title named
    return errors


def errors_of_bibliography(folder: Path, bibliography: str) -> list[str]:
    """What BibTeX and pdfLaTeX have against a list of references with all of the entries."""
    (folder / "papers.bib").write_text(bibliography)
    body = "\\nocite{*}\n\\bibliographystyle{plainnat}\n\\bibliography{papers}"
    errors_of_latex(folder, body)
    run = subprocess.run(
        ["bibtex", "document"], cwd=folder, capture_output=True, text=True, check=False
    )
    # A paper may lack authors and a title, and these be too long to sort by; all else is a fault.
    lines = [line for line in run.stdout.splitlines() if "---" in line or "Warning--" in line]
    usual = re.compile("empty (author|title)|to sort|entry-string-size")
    faults = [line for line in lines if not usual.search(line)]
    items = (folder / "document.bbl").read_text().count("\\bibitem")
    assert items == bibliography.count("\n  eprint = "), faults
    return faults + errors_of_latex(folder, body)
