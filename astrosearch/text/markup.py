r"""HTML and MathML in titles and abstracts, turned into text and TeX.

arXiv's metadata are TeX; what other services export has entities, `<sub>` and formulas of MathML.
"""

import html
import re
import xml.etree.ElementTree as ET

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NAMED_ENTITY = re.compile(r"&(?!lt;|gt;|amp;|quot;|apos;)[A-Za-z][A-Za-z0-9]{1,31};")
_FORMULA = re.compile(r"<((?:mml:)?math)\b[^<>]*>.*?</\1>", re.IGNORECASE | re.DOTALL)
_TEX_MATH = re.compile(r"<tex-math\b[^<>]*>(.*?)</tex-math>", re.IGNORECASE | re.DOTALL)
_ALTERNATIVES = re.compile(r"<alternatives\b[^<>]*>(.*?)</alternatives>", re.I | re.DOTALL)
_SCRIPT = re.compile(r"<(?:jats:)?(sub|sup|inf)\b[^<>]*>([^<>]*)</(?:jats:)?\1\s*>", re.IGNORECASE)
_BREAK = re.compile(r"</?(?:jats:)?(?:p|br|div|title|sec|li|ul|ol)\b[^<>]{0,200}>", re.IGNORECASE)
_TAG = re.compile(
    r"""</?(?:jats:)?(?:i|b|u|em|strong|span|italic|bold|tt|sc|small|font|sub|sup|a|scp|
        inline-formula|alternatives|tex-math|inline-graphic|mml:\w+)(?:\s[^<>]{0,500})?/?>""",
    re.IGNORECASE | re.VERBOSE,
)
_CLOSING = re.compile(r"</[a-z]", re.IGNORECASE)


def without_markup(text: str) -> str:
    """Text and TeX in place of HTML and MathML.

    >>> without_markup("Dust &amp; H<sub>2</sub> at z &lt; 6 in <i>Gaia</i>")
    'Dust & H$_2$ at z < 6 in Gaia'
    """
    if "<" in text and _CLOSING.search(text):
        text = _without_tags(text)
    if "&" in text and _ENTITY.search(text):
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)  # &amp;lt;
        if "<" in text and _CLOSING.search(text):
            text = _without_tags(text)
    return text


def _without_tags(text: str) -> str:
    text = _ALTERNATIVES.sub(_first_form, text)
    text = _TEX_MATH.sub(lambda match: f"${match[1].strip().strip('$')}$", text)
    text = _FORMULA.sub(_tex_of_formula, text)
    text = _SCRIPT.sub(_script, text)
    return _TAG.sub("", _BREAK.sub(" ", text))


def _first_form(match: re.Match[str]) -> str:
    """One of the forms in which a formula is given: TeX if it is among them."""
    tex = _TEX_MATH.search(match[1])
    return tex[0] if tex else match[1]


def _script(match: re.Match[str]) -> str:
    sign, body = "^" if match[1].lower() == "sup" else "_", match[2].strip()
    if not body:
        return ""
    return f"${sign}{_in_braces(body)}$"


def _in_braces(tex: str) -> str:
    return tex if len(tex) == 1 else "{" + tex + "}"


def _tex_of_formula(match: re.Match[str]) -> str:
    source = _NAMED_ENTITY.sub(lambda name: html.unescape(name[0]), match[0])
    source = re.sub(r"(</?)[A-Za-z]+:", r"\1", source)
    source = re.sub(r"\s[\w-]+:[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", source)
    try:
        tex = _tex(ET.fromstring(source)).strip()
    except (ET.ParseError, RecursionError):
        tex = re.sub(r"<[^<>]*>", "", match[0]).strip()
    return f"${tex}$" if tex else ""


def _tex(node: ET.Element) -> str:
    kind = node.tag.rpartition("}")[2]
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
