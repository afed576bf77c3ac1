r"""HTML, JATS and MathML in titles and abstracts, turned into text and TeX.

arXiv's metadata are TeX; what other services export has entities, `<sub>` and formulas of MathML.
Authors write averages in the same signs: a `<B>` or `<z>` that nothing closes is one of them.
"""

import html
import re
import xml.etree.ElementTree as ET
from html.entities import html5
from typing import NamedTuple

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NAMED_ENTITY = re.compile(r"&(?!lt;|gt;|amp;|quot;|apos;)[A-Za-z][A-Za-z0-9]{1,31};")
_TAG = re.compile(
    r"<(?P<close>/?)(?:\w{1,9}:)?(?P<name>[A-Za-z][\w-]{0,29})(?P<attributes>(?:\s[^<>]{0,999})?/?)>"
)
_NOT_TEXT = re.compile(r"<!--.{0,499}?-->|<\?xml[^<>]{0,999}\?>|<!\[CDATA\[|\]\]>", re.DOTALL)

_BREAKS = frozenset("br div h1 h2 h3 h4 hr li ol p sec section title ul".split())
"""They part words; the others are in the midst of one."""
_INLINE = frozenset(
    """alternatives bold em ext-link font inf inline-formula inline-graphic italic list-item math
    sc scp small span strong sub sup tex-math tt xref""".split()
)
"""What no author means as an average, even where nothing closes it."""


def without_markup(text: str) -> str:
    """Text and TeX in place of HTML and MathML.

    >>> without_markup("Dust &amp; H<sub>2</sub> at z &lt; 6 in <i>Gaia</i>")
    'Dust & H$_2$ at z < 6 in Gaia'
    """
    if "<" in text:
        text = _without_tags(text)
    if "&" in text and _ENTITY.search(text):
        text = _ENTITY.sub(_character, text)
        text = _ENTITY.sub(_character, text)  # &amp;lt;
        if "<" in text:
            text = _without_tags(text)
    return text


def _character(entity: re.Match[str]) -> str:
    """`&alpha;` to α; what only looks like an entity stays."""
    if entity[0][1] == "#":
        return html.unescape(entity[0])
    return html5.get(entity[0][1:], entity[0])  # html.unescape would make ¬hing; of &nothing;


class _Element(NamedTuple):
    """An element that has begun."""

    name: str
    tag: str
    start: int
    """Where its content begins in the text."""
    in_formula: bool
    """Whether it stands between dollars."""
    is_behind_a_sentence: bool
    parts: list[str]
    """Its content so far."""
    formulas: list[str]
    """Those of its parts that are TeX in the source."""


def _without_tags(text: str) -> str:
    if "<!" in text or "<?" in text:
        text = _NOT_TEXT.sub("", text)
    elements = [_Element("", "", 0, False, False, [], [])]
    end = dollars = 0
    for match in _TAG.finditer(text):
        piece = text[end : match.start()]
        elements[-1].parts.append(piece)
        dollars += piece.count("$")
        end = match.end()
        name = match["name"].lower()
        if match["close"]:
            _close(elements, name, text, match.start())
        elif name in ("br", "hr") or match["attributes"].endswith("/"):
            elements[-1].parts.append(" " if name in _BREAKS else "")
        elif len(elements) < _DEEPEST:
            before = text[max(0, match.start() - 10) : match.start()].rstrip()
            is_behind_a_sentence = before[-1:] in _SENTENCE_ENDS
            element = _Element(name, match[0], end, dollars % 2 == 1, is_behind_a_sentence, [], [])
            elements.append(element)
    elements[-1].parts.append(text[end:])
    while len(elements) > 1:
        _give_up(elements)
    return "".join(elements[0].parts)


_SENTENCE_ENDS = ("", *".!?:;)>")
_LONGEST_FORMULA = 20_000
"""Characters of MathML."""
_DEEPEST = 50
"""Elements within one another; further tags are left out."""


def _close(elements: list[_Element], name: str, text: str, end: int) -> None:
    """End the last element of that name, and those within it that nothing has closed."""
    if not any(element.name == name for element in elements):
        return
    while elements[-1].name != name:
        _give_up(elements)
    element = elements.pop()
    body = "".join(element.parts)
    match name:
        case "sub" | "inf" | "sup":
            body = _script("^" if name == "sup" else "_", body, element.in_formula)
        case "tex-math":
            body = _formula(body)
            elements[-1].formulas.append(body)
        case "math" if end - element.start < _LONGEST_FORMULA:
            body = _formula(_tex_of_mathml(text[element.start : end]))
        case "alternatives":
            # Forms of one formula: TeX if it is among them.
            body = element.formulas[0] if element.formulas else body
        case "sc" if re.fullmatch("[ivx]+", body):  # O<sc>iii</sc>
            body = body.upper()
        case "title" if body.strip().lower() == "abstract":
            body = ""
    elements[-1].parts.append(f" {body} " if name in _BREAKS else body)


def _give_up(elements: list[_Element]) -> None:
    """Take the last element for what it is without an end: an average, or a part of its text."""
    element = elements.pop()
    around = elements[-1].parts
    if element.name in _BREAKS:
        is_tag = len(element.name) > 1 or element.is_behind_a_sentence
    else:
        is_tag = element.name in _INLINE or "=" in element.tag
    around.append((" " if element.name in _BREAKS else "") if is_tag else element.tag)
    around += element.parts


def _script(sign: str, body: str, in_formula: bool) -> str:
    body = body.replace("$", "").strip()
    if not body:
        return ""
    tex = f"{sign}{_in_braces(body)}"
    return tex if in_formula else f"${tex}$"


def _in_braces(tex: str) -> str:
    return tex if len(tex) == 1 else "{" + tex + "}"


def _formula(tex: str) -> str:
    r"""TeX between dollars; `\documentclass` and all that may stand around it."""
    if match := re.search(r"\\begin\{document\}(.*?)\\end\{document\}", tex, re.DOTALL):
        tex = match[1]
    tex = tex.strip().removeprefix(r"\(").removesuffix(r"\)").strip("$").strip()
    return f"${tex}$" if tex else ""


def _tex_of_mathml(source: str) -> str:
    source = _NAMED_ENTITY.sub(_character, source)
    source = re.sub(r"(</?)[A-Za-z]+:", r"\1", source)
    source = re.sub(r"\s[\w-]+:[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", source)
    try:
        return _tex(ET.fromstring(f"<math>{source}</math>")).strip()
    except (ET.ParseError, RecursionError):
        return re.sub(r"<[^<>]*>", "", source).strip()


def _tex(node: ET.Element) -> str:
    kind = node.tag.rpartition("}")[2].lower()
    if kind == "semantics":
        for child in node:
            if "tex" in child.get("encoding", "").lower():
                return (child.text or "").strip()
        return _tex(node[0]) if len(node) else ""
    parts = [_tex(child) for child in node]
    match kind, parts:
        case "msub" | "munder", [base, below]:
            return f"{base}_{_in_braces(below)}"
        case "msup" | "mover", [base, above]:
            return f"{base}^{_in_braces(above)}"
        case "msubsup" | "munderover", [base, below, above]:
            return f"{base}_{_in_braces(below)}^{_in_braces(above)}"
        case "mfrac", [above, below]:
            return rf"\frac{{{above}}}{{{below}}}"
        case "msqrt", _:
            return rf"\sqrt{{{''.join(parts)}}}"
        case "mspace", _:
            return " "
    return (node.text or "").strip() + "".join(parts)
