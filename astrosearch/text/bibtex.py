r"""Papers as BibTeX.

An entry has to survive what reads it next: BibTeX counts braces, even those that mean something
else to TeX, and LaTeX stops at a `_` or `%`, which arXiv's titles carry freely. So a title keeps
its TeX, what would break the entry or the document is escaped, and no macro can act.
"""

import re
import unicodedata

from astrosearch.papers import Paper
from astrosearch.text.authors import GROUP, family_name, is_et_al, split_name
from astrosearch.text.tables import GREEK, LETTERS, RELATIONS
from astrosearch.text.tex import is_overgrown, one_line, paired, to_unicode, without_ties

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()

_ASCII = str.maketrans(
    LETTERS
    | {letter.upper(): plain.capitalize() for letter, plain in LETTERS.items() if letter != "ı"}
    | {"ð": "d", "þ": "th", "ß": "ss"}
)


def key(paper: Paper) -> str:
    """The citation key: first author, year, identifier, in ASCII.

    It depends on this paper alone, and no two papers share one, so files written on different
    days can be joined.

    >>> key(Paper("astro-ph/0601001", "", "", ("Łucja Nowak",), (), date(2006, 1, 1)))
    'nowak2006_astro-ph-0601001'
    """
    family = family_name(paper.authors[0]) if paper.authors else ""
    if GROUP.search(family):
        family = GROUP.sub("", family.lower().removeprefix("the "))
    letters = unicodedata.normalize("NFKD", to_unicode(family).translate(_ASCII))
    name = re.sub(r"[^a-z]", "", letters.lower()) or "arxiv"
    return f"{name}{paper.published.year}_{paper.id.replace('/', '-')}"


def entry(paper: Paper) -> str:
    r"""A `@misc` entry in the form arXiv itself exports.

    >>> print(entry(paper))
    @misc{nowak2024_2401.00001,
      author = {Łucja Nowak and {Lighthouse Collaboration}},
      title = {{Dust at $z \sim 7$}},
      year = {2024},
      month = jan,
      eprint = {2401.00001},
      archivePrefix = {arXiv},
      primaryClass = {astro-ph.GA},
      url = {https://arxiv.org/abs/2401.00001},
    }
    """
    fields = {
        "author": "{" + _authors(paper.authors) + "}",
        "title": "{{" + _safe(paper.title) + "}}",
        **_published_in(paper),
        "eprint": f"{{{paper.id}}}",
        "archivePrefix": "{arXiv}",
        "primaryClass": f"{{{_safe(paper.categories[0])}}}" if paper.categories else "",
        "doi": f"{{{_doi(paper.doi)}}}" if paper.doi else "",
        "url": f"{{{paper.url}}}",
    }
    lines = [f"  {name} = {value}," for name, value in fields.items() if value not in ("", "{}")]
    kind = "article" if "journal" in fields else "misc"
    return "\n".join([f"@{kind}{{{key(paper)},", *lines, "}"])


# ApJ 912, 1 (2021); Phys. Rev. D 97 (2018) 043007; MNRAS, 480, 2, 2018
_REFERENCE = re.compile(
    r"""(?P<journal>[^\W\d][^\d,;:()]*?(?:\s[A-D])?)[\s,.]*\s(?:vol(?:ume)?\.?\s*)?(?P<volume>[A-Z]?\d+)
        (?:[\s,]*\((?P<year>\d{4})\))?
        (?:[\s,:]*(?:pp?\.\s*)?(?P<pages>[A-Z]?\d+(?:\s*-+\s*[A-Z]?\d+)?))?
        (?:[\s,]*\(?(?P<last_year>\d{4})\)?)?\.?""",
    re.VERBOSE,
)


def _published_in(paper: Paper) -> dict[str, str]:
    """The year, and what a journal reference tells; one that is not understood is a note."""
    fields = {
        "year": f"{{{paper.published.year}}}",
        "month": _MONTHS[paper.published.month - 1],
    }
    if not paper.journal_ref:
        return fields
    match = _REFERENCE.fullmatch(" ".join(paper.journal_ref[:200].split()))
    year = match and (match["year"] or match["last_year"])
    if match is None or not year:
        return fields | {"note": f"{{{_safe(paper.journal_ref)}}}"}
    if year != str(paper.published.year):
        fields = {"year": f"{{{year}}}"}
    return fields | {
        "journal": f"{{{_safe(match['journal'])}}}",
        "volume": f"{{{match['volume']}}}",
        "pages": f"{{{re.sub(r' *-+ *', '--', match['pages'] or '')}}}",
    }


def _authors(names: tuple[str, ...]) -> str:
    """All names; BibTeX's own word for more of them, `others`, is the last."""
    authors = [_author(name) for name in names if not is_et_al(name)]
    if len(authors) < len(names):
        authors.append("others")
    return " and ".join(authors)


def _author(name: str) -> str:
    parts = split_name(name)
    given, family = _safe(parts.given), _safe(parts.surname)
    if not given:
        return f"{{{family}}}" if " " in family else family
    if re.search(r"(?i)\band\b", f"{given} {family}"):  # would read as two authors
        return f"{{{given} {family}}}"
    if parts.suffix:
        return f"{family}, {_safe(parts.suffix)}, {given}"
    # BibTeX takes lower-case particles for part of the family name, and no other word before
    # the last.
    if " " in parts.family or "," in name or not _is_lower(parts.particle):
        return f"{family}, {given}"
    return f"{given} {family}"


def _is_lower(particle: str) -> bool:
    return not particle or particle.replace("'", "").islower()


def _doi(doi: str) -> str:
    """A DOI as hyperlinks take it; braces would end the field."""
    bare = re.sub(r"\\([_%#&])", r"\1", one_line(doi).replace(" ", ""))
    return bare.replace("{", "%7B").replace("}", "%7D").replace("\\", "%5C")


# Symbols that LaTeX takes in formulas only, and titles have outside of them.
_MATHEMATICAL = {*RELATIONS, *GREEK.values()} - {"lt", "gt", "omicron"} | frozenset(
    """varepsilon vartheta varphi Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
        times cdot infty odot oplus rightarrow leftarrow leftrightarrow to propto partial nabla
        mp neq ne star""".split()
)
_OUTSIDE = re.compile(
    rf"""(?P<relation> \\(?:{"|".join(sorted(_MATHEMATICAL))})(?![A-Za-z]) )
      | (?P<kept> \\. | \$[^$]*\$ )
      | (?P<script> [_^] (?: \{{[^{{}}$]*\}} | \\[A-Za-z]+ | [-+−]?\d+(?:\.\d+)?
                          | [A-Za-z*](?![A-Za-z0-9]) | [-+](?!\w) ) )
      | (?P<raised> \^[A-Za-z]+ )
      | (?P<sign> [_^] )""",
    re.VERBOSE | re.DOTALL,
)


# What reads or writes files, starts programs, defines macros, or ends a document. No title needs
# them, and LaTeX would obey.
_FORBIDDEN = frozenset(
    """AtBeginDocument AtEndDocument DeclareRobustCommand IfFileExists InputIfFileExists LoadClass
    RequirePackage ShellEscape VerbatimInput aftergroup afterassignment batchmode begin bibliography
    bye catcode closein closeout csname def directlua documentclass dump edef end endcsname endinput
    errorstopmode everycr everydisplay everyhbox everyjob everymath everypar everyvbox font
    futurelet gdef global immediate include includegraphics includeonly includepdf input latelua
    lccode let loop lstinputlisting luaexec makeatletter mathcode newcommand newenvironment
    nonstopmode openin openout output pdffiledump pdfobj pdfximage providecommand read readline
    renewcommand renewenvironment scantokens scrollmode special uccode usepackage verbatiminput
    write xdef""".split()
)
_MACRO = re.compile(r"\\(@*[A-Za-z@]+|.)", re.DOTALL)
_BACKSLASHED = re.compile(r"\\(.)([{}])?", re.DOTALL)


def _safe(text: str) -> str:
    r"""The same TeX, without what would break a field or a document.

    >>> _safe("50% of A_BC & {x at 10^{-3}")
    '50\\% of A\\_BC \\& x at 10$^{-3}$'
    """
    text = " ".join(one_line(text).split())
    if is_overgrown(text):
        return " ".join(re.sub(r"[\\{}$&#%_^~\"]", " ", text).split())
    text = re.sub(r"(?<!\\)\\[()[\]]|\$\$", lambda match: "$", text)  # other signs of formulas
    text = re.sub(r"\^{2,}", "^", text)  # ^^5c is a backslash
    text = _MACRO.sub(_harmless, paired(text))
    text = without_ties(text, tie="~", about=r"$\sim$")
    text = _OUTSIDE.sub(_in_a_formula, text)
    text = re.sub(r"(\\.)|([%&#])", lambda m: m[1] or f"\\{m[2]}", text, flags=re.DOTALL)
    spell_out = not _braces_balance(text)
    text = _BACKSLASHED.sub(lambda match: _with_brace(match, spell_out), text)
    # Some readers take a brace behind a backslash for text, and the field would not end.
    return text.strip().rstrip("\\ ")


def _harmless(match: re.Match[str]) -> str:
    """A macro, or the name of one that a title must not call."""
    name = match[1].strip("@")
    return name if name in _FORBIDDEN else match[0]


def _in_a_formula(match: re.Match[str]) -> str:
    if match["relation"]:
        return f"${match[0]}$"
    if match["kept"]:
        return match["kept"]
    if match["sign"]:
        return r"\_" if match["sign"] == "_" else r"\textasciicircum{}"
    sign, body = match[0][0], match[0][1:]
    return f"${sign}{body if body.startswith('{') else '{' + body + '}'}$"


def _braces_balance(text: str) -> bool:
    """Whether braces pair up for BibTeX, to which a backslash before one means nothing."""
    depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0


def _with_brace(match: re.Match[str], spell_out: bool) -> str:
    r"""A backslash and what follows it: `\{` is spelt out where braces do not balance, and `\\}` is
    parted, because some readers would take its brace for text."""
    sign, brace = match[1], match[2] or ""
    if sign in "{}":
        spelt = r"\ensuremath{\lbrace}" if sign == "{" else r"\ensuremath{\rbrace}"
        return (spelt if spell_out else match[0][:2]) + brace
    return match[0][:2] + (f" {brace}" if brace and sign == "\\" else brace)
