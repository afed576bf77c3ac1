r"""TeX in titles, abstracts and names, made readable in a terminal.

arXiv's metadata keep the authors' TeX, and authors write it in every way that compiles and in some
that do not: formulas without dollars, unescaped `%`, macros of their own. The result
still has to read as a sentence, so symbols become Unicode, markup goes, and what is not understood
stays as it was written. No word is dropped.

pylatexenc parses, and knows symbols and accents. This module adds what that leaves open: sub- and
superscripts, `~`, stray `%`, `$` and braces, and the macros of the field. pylatexenc is loaded
with the first text that needs it; importing this module costs nothing.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from astrosearch.text import tables
from astrosearch.text.tables import ROMAN

_MARKED = re.compile(r"[\\$^_{}~`]|--|''")
_TO_PARSE = re.compile(r"[\\$^_]")
_BRACES = str.maketrans("", "", "{}")
_SIGNS = re.compile(r"[\\$^_{}~`'\"]|--")

LONGEST = 20_000
"""Characters of a text that is rendered; an abstract of arXiv has at most 6,000."""

MOST_SIGNS = 1_000
"""Signs of TeX in it. The time that stray ones take grows with the square of their number."""

BELOW = dict(
    zip(
        "0123456789+−-=()aehijklmnoprstuvxβγρφχ",
        "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
        strict=True,
    )
)
"""Signs to their subscripts."""

ABOVE = dict(
    zip(
        "0123456789+−-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ",
        strict=True,
    )
)
"""Signs to their superscripts."""

_ALREADY_ABOVE = {"∘": "°", "'": "′", "''": "″", "′′": "″", '"': "″"}

SILENT = tables.SILENT | frozenset(
    r"""mit bold boldmath boldsymbol bm pmb ttfamily sffamily upshape slshape selectfont normalsize
    large Large textstyle scriptstyle scriptscriptstyle middle bigg Bigg bigl bigr Bigl Bigr limits
    nolimits
    nonumber protect rlap llap mathord mathop mathrel mathbin relax uppercase expandafter
    romannumeral ! / -""".split()
)
"""Macros that leave no mark in a line of text."""

# Of AASTeX and A&A (https://journals.aas.org/aastexguide/), and what authors define for themselves.
OF_THE_FIELD = tables.RELATIONS | {
    macro: symbol
    for symbol, macros in {
        "⊙": "odot sun bigodot",
        "⊕": "earth",
        "°": "deg degr degree arcdeg textdegree",
        "′": "arcmin prime",
        "″": "arcsec",
        "μ": "upmu",
        "μm": "micron microns mum",
        "≠": "ne",
        "⊥": "bot",
        "−": "textminus",
        "Å": "angstrom",
        "ƛ": "lambdabar",
        "≲": "simlt siml lapprox ltsim ltorder alt",
        "≳": "simgt simg gapprox gtsim gtorder agt",
        "<": "textless",
        ">": "textgreater",
        "/": "over slash",
        " ": "newline thinspace \\",
        "∗": "ast",
        "□": "Box",
        "★": "bigstar",
        "§": "S",
        "M⊙": "msun Msun MSun MSUN Msol",
        "L⊙": "lsun Lsun",
        "R⊙": "rsun Rsun",
        "Z⊙": "zsun Zsun",
        "km/s": "kms kmps",
        "Lyα": "lya Lya",
        "Hα": "ha Ha halpha Halpha",
        "Hβ": "hb Hb hbeta Hbeta",
        "ΛCDM": "LambdaCDM lcdm LCDM",
        "‘": "lq",
        "’": "rq",
        "^": "textasciicircum",
        "~": "textasciitilde",
        "{": "lbrace textbraceleft",
        "}": "rbrace textbraceright",
    }.items()
    for macro in macros.split()
}
# 0\farcs5 is 0.5″: the sign is set above the point.
_ABOVE_THE_POINT = {"farcs": "″", "farcm": "′", "fdg": "°", "fh": "ʰ", "fm": "ᵐ", "fs": "ˢ"}

FRACTIONS = ("frac", "tfrac", "dfrac", "nicefrac", "textfrac")
_ACCENTS = frozenset(
    [
        *tables.ACCENT_SIGNS,
        *tables.ACCENT_LETTERS,
        *"t dot ddot hat check acute grave tilde bar".split(),
    ]
)
_LETTERS = frozenset([*tables.LETTER_MACROS, "j"])
_GREEK = frozenset(tables.GREEK.values()) | frozenset(
    """varepsilon vartheta varpi varrho varphi Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi
    Omega partial nabla""".split()
)
_COMPARISONS = "∼≈≃≅≲≳≤≥≪≫⩽⩾<>±"
_RELATIONS = _COMPARISONS + "≠≡=∝∓×"

_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
URL = re.compile(r"https?://(?:[^\s{}$\\<>]|\\[_%#&~](?:\{\})?)+|(?<=\\url\{)[^{}]*(?=\})")
_URL_HERE = "\ufdd0"  # a noncharacter: no text means anything by it

_Spelling = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _character(code: int) -> str:
    """The character of a code; half of a surrogate pair is none, and no output could hold it."""
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


# What would upset the pairing of braces and dollars. The order matters, here and below.
_BEFORE_PAIRING: list[_Spelling] = [
    (re.compile(r"\\unicode\{x([0-9A-Fa-f]{2,5})\}"), lambda m: _character(int(m[1], 16))),
    (re.compile(r"\\verb\*?([|!+])([^\\{}$]{0,200}?)\1"), r"\2"),
    (re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}"), " "),
    (re.compile(r"\\\((.{0,400}?)\\\)"), r"$\1$"),
    (
        re.compile(r"\\\[(.{0,400}?)\\\]"),  # a displayed formula, unless it is an escaped [OIII]
        lambda m: f" ${m[1]}$ " if re.search(r"[\\=]", m[1]) else m[0],
    ),
    (re.compile(r"\\\$(?=[A-Za-z\\])([^$]{1,60}?)\\\$(?!\d)"), r"$\1$"),
    (re.compile(r"(?<!\\)\$\$"), "$"),
    # NGC_1068 and GW231109_235456: names, where M_200 and sigma_8 have subscripts.
    (
        re.compile(
            rf"(?<![A-Za-z\\])(?!(?:{'|'.join(map(str, tables.GREEK.values()))})_)"
            r"([A-Za-z][A-Za-z0-9]+)_(?=\d{3,}(?![\d.]))",
            re.IGNORECASE,
        ),
        r"\1\_",
    ),
]
# Macros that no reader of macros one by one can know.
_ODD_MACROS: list[_Spelling] = [
    (re.compile(r"\\([][()])"), r"\1"),
    (re.compile(r"\\(?:left|right)\s*\."), ""),
    (re.compile(r"\\not\s*="), "≠"),
    (re.compile(r"\\href\s*(\{[^{}]*\})\s*+(?!\{)"), r"\1 "),  # a link that lost its words
    # 0\farcs5, 0.\!\!^{\prime\prime}5
    (
        re.compile(rf"\\({'|'.join(_ABOVE_THE_POINT)})(?![A-Za-z])\s*\{{?(\d*)\}}?"),
        lambda m: (f".{m[2]}" if m[2] else "") + _ABOVE_THE_POINT[m[1]],
    ),
]
_AFTER_PAIRING: list[_Spelling] = [
    *_ODD_MACROS,
    (re.compile(r"(\\[A-Za-z]+)(?=[^\x00-\x7f])"), r"\1 "),  # \sqrtα
    # M_\mathrm{eff} and M_\rm BH: the whole of it is the subscript.
    (re.compile(rf"(?<!\\)([_^])(\\[A-Za-z]+\s*(?:{_GROUP})+)"), r"\1{\2}"),
    (re.compile(r"(?<!\\)([_^])\\(?:rm|it|bf|sf|tt|cal)\s+([A-Za-z0-9]+)"), r"\1{\2}"),
    (re.compile(r"(?<!\\)([_^])(\\[A-Za-z]+)(?![A-Za-z{])"), r"\1{\2}"),
    (re.compile(r"(?<!\\)\^\(([^()$\\{}]{1,12})\)"), r"^{\1}"),
    # 10^-3 and r_max, which TeX would read otherwise than their authors do.
    (re.compile(r"(?<!\\)([_^])([-+−]?\d+(?:\.\d+)?|[A-Za-z][A-Za-z0-9]+)"), r"\1{\2}"),
    # A sign with nothing to set below or above is a sign.
    (re.compile(r"(?<!\\)([_^])\s+(?=[{\\])"), r"\1"),
    (re.compile(r"(?<!\\)_(?=[\s$}_^]|$)"), r"\_"),
    (re.compile(r"(?<!\\)\^(?=[\s$}_^]|$)"), r"\\textasciicircum{}"),
    (re.compile(r"(?<!\\)[%&#]"), r"\\\g<0>"),
]
_TYPOGRAPHY: list[_Spelling] = [
    (re.compile(r"``(.{1,200}?)(?:''|\")"), r"“\1”"),
    (re.compile(r"(?<![\w'])''(?=\w)(.{1,200}?)(?<=\w)''(?!')"), r"“\1”"),
    (re.compile(r"(?<![\w`])`([^`']{1,80})'(?!\w)"), r"‘\1’"),
    (re.compile(r"(?<!-)---(?!-)"), "—"),
    (re.compile(r"(?<!-)--(?!-)"), "–"),
    (re.compile(r"[^\S\n]+"), " "),
]


def to_unicode(text: str) -> str:
    r"""Render the TeX in `text` as Unicode; a text without TeX comes back unchanged.

    >>> to_unicode(r"A $10^{9}\,M_\odot$ black hole at $z \sim 7$ in $\Lambda$CDM")
    'A 10⁹ M⊙ black hole at z ∼ 7 in ΛCDM'

    It never raises: what defeats the parser comes back as it was written, as does a text with more
    signs of TeX than any paper has, which would keep the parser busy for minutes.
    """
    if not _MARKED.search(text) or is_overgrown(text):
        return text
    try:
        return _render(text) or text
    except Exception:  # a title has to be shown, even one that defeats the parser
        return text


def is_overgrown(text: str) -> bool:
    """Whether a text is longer, or has more signs of TeX, than any paper's."""
    return len(text) > LONGEST or len(_SIGNS.findall(text)) > MOST_SIGNS


# Tabs and line ends of every kind; other controls, signs that turn the direction of writing, and
# tags, which nobody sees.
_BREAKS = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]+")


def one_line(text: str) -> str:
    r"""A text that can neither break a line nor move the cursor of a terminal.

    >>> one_line("two\nlines\x1b[2J")
    'two lines[2J'
    """
    return _CONTROLS.sub("", _BREAKS.sub(" ", text))


def _render(text: str) -> str:
    urls: list[str] = []

    def hide(match: re.Match[str]) -> str:
        urls.append(re.sub(r"\\([_%#&~])(?:\{\})?", r"\1", match[0]))
        return _URL_HERE

    text = URL.sub(hide, text.replace(_URL_HERE, ""))
    text = without_ties(paired(_respell(text, _BEFORE_PAIRING)))
    if _TO_PARSE.search(text):
        text = _reader().read(_respell(text, _AFTER_PAIRING))
    else:  # braces keep capitals, and a name in one piece: many are in a bibliography
        text = text.translate(_BRACES)
    text = _respell(text, _TYPOGRAPHY).strip(" ")
    return re.sub(_URL_HERE, lambda _: urls.pop(0), text)


def spelt_plainly(text: str, *, tie: str) -> str:
    r"""TeX with few of its spellings left: all formulas between single dollars, all braces in
    pairs, and `~` where words are tied.

    >>> spelt_plainly(r"{Dust at \(z\)~\left.x", tie="~")
    'Dust at $z$~x'

    Args:
        tie: what stands for a `~` that ties words; one that means "about" becomes `∼`.
    """
    text = paired(_respell(text, _BEFORE_PAIRING))
    return _respell(without_ties(text, tie=tie, about="∼"), _ODD_MACROS)


def symbol(macro: str) -> str:
    """The sign that a macro stands for; empty if it is not known to stand for one.

    >>> symbol("Lambda")
    'Λ'
    """
    if macro in OF_THE_FIELD:
        return OF_THE_FIELD[macro]
    return _reader().symbol(macro) or ""


def _respell(text: str, spellings: Sequence[_Spelling]) -> str:
    for pattern, replacement in spellings:
        text = pattern.sub(replacement, text)
    return text


_PAIRING = re.compile(r"\\.|[{}$]", re.DOTALL)
_BOX = re.compile(r"\\(?:[mh]box|text\w*)\s*$")
# The dollar of money: where it can be nothing else, and where a dollar too many needs an excuse.
_CLEAR_MONEY = re.compile(r"(?<=US)\$(?=\d)|(?<![^\s(~])\$(?=\d[\d.,]*\s*(?:million|billion|USD))")
# Python before 3.11.5 goes on behind what a possessive group read before it failed: the lookahead
# lets it fail first.
_AMOUNT = r"\d++(?:(?=[.,]\d)[.,]\d++)*+[kMB]?"
_MONEY = re.compile(rf"(?<![^\s(~])\$(?={_AMOUNT}(?:[.,;)]|\s+[A-Za-z(]|$))")


def paired(text: str) -> str:
    r"""Take out braces and dollars that have no partner; a dollar of money is escaped.

    >>> paired("{\\rm km and $x_{1$")
    '\\rm km and $x_1$'
    """
    text = _CLEAR_MONEY.sub(r"\\$", text)
    if text.replace(r"\$", "").count("$") % 2:
        text = _MONEY.sub(r"\\$", text, count=1)
    stray: dict[int, str] = {}
    opened: list[int] = []  # positions of the braces and dollars that wait for their partner
    dollar: int | None = None  # where in `opened` the dollar is
    for match in _PAIRING.finditer(text):
        here, sign = match.start(), match[0]
        if sign == "{":
            opened.append(here)
        elif sign == "}":
            if opened and text[opened[-1]] == "{":
                opened.pop()
            else:
                stray[here] = ""
        elif sign == "$":
            if dollar is None:
                dollar = len(opened)
                opened.append(here)
            elif any(_BOX.search(text[max(0, at - 12) : at]) for at in opened[dollar + 1 :]):
                stray[here] = ""  # a formula in a text in a formula
            else:
                stray.update((at, "") for at in opened[dollar + 1 :])
                del opened[dollar:]
                dollar = None
    stray.update((at, r"\$" if _MONEY.match(text, at) else "") for at in opened)
    return "".join(stray.get(i, sign) for i, sign in enumerate(text)) if stray else text


_TILDE = re.compile(r"\\.|[$~]", re.DOTALL)
_NUMBER_NEXT = re.compile(r"\$?\s*[-+−]?\.?\d")
_QUANTITY = re.compile(
    r"""(?: (?<![A-Za-z0-9])[A-Za-z]                    # z~7
          | _\{?\w+\}?                                  # r_vir~2
          | (?<![A-Za-z])(?:alpha|beta|gamma|delta|sigma|tau|lambda|mu|chi|Gamma|Delta|Sigma|Lambda)
          | (?<![A-Za-z])(?:redshifts?|SFR|FWHM|SNR|kT|N_?HI?)
          | (?:(?<![A-Za-z\\])[A-Za-z] | [}\]])\$       # $z$~7, but not $\sim$~7
        )$""",
    re.VERBOSE,
)


def _is_about(before: str, after: str, in_formula: bool, has_tex: bool) -> bool:
    """Whether a `~` between these two texts says "about" rather than "do not break here"."""
    if in_formula:
        return bool(re.search(r"(?:^|[\s(])\$$", before) and re.match(r"[\d.$]", after))
    number_next = _NUMBER_NEXT.match(after) is not None
    if not after or after[0] == " ":
        return not before or before[-1] in " (<>=" or re.match(r" +\d", after) is not None
    if not before or before[-1] in " ([/<>=:,–-":
        after_number = re.search(r"\d $", before) is not None
        return number_next or bool(re.match(r"[\w(<>$]", after) and not after_number)
    if not number_next:
        return False
    if re.search(r"(?<![A-Za-z0-9])M$", before):
        return not re.match(r"\d{1,3}(?![\d.^]|x10)", after)  # M~87 is a galaxy
    return _QUANTITY.search(before) is not None or (before[-1].isdigit() and not has_tex)


def without_ties(text: str, *, tie: str = " ", about: str = "~") -> str:
    """Turn each `~` that ties words into a space, and keep those that mean "about".

    >>> without_ties("M31~and Fig.~1 at z~7 and ~10 kpc")
    'M31 and Fig. 1 at z~7 and ~10 kpc'
    """
    if "~" not in text:
        return text
    has_tex = "$" in text or "\\" in text
    in_formula = False

    def replaced(match: re.Match[str]) -> str:
        nonlocal in_formula
        if match[0] == "$":
            in_formula = not in_formula
        if match[0] != "~":
            return match[0]
        before = text[max(0, match.start() - 24) : match.start()]
        after = text[match.end() : match.end() + 12]
        return about if _is_about(before, after, in_formula, has_tex) else tie

    return _TILDE.sub(replaced, text)


@cache
def _reader() -> "_Reader":
    return _Reader()


class _Reader:
    """pylatexenc's parser and symbols, and how we spell what they find."""

    def __init__(self) -> None:
        from pylatexenc import latex2text, latexwalker, macrospec

        self._walker = latexwalker
        self._symbols = latex2text.LatexNodes2Text()
        one_argument = macrospec.MacroStandardArgsParser("{")
        self._context = latexwalker.get_default_latex_context_db().filter_context(
            keep_which=["macros"]
        )
        self._context.add_context_category(
            "astrosearch",
            macros=[
                macrospec.std_macro(name, "{" * count)
                for name, count in [
                    *[("ion", 2), ("href", 2), ("textsubscript", 1), ("textsuperscript", 1)],
                    *[("ddot", 1), *((name, 2) for name in FRACTIONS)],
                ]
            ],
            specials=[macrospec.SpecialsSpec(sign, args_parser=one_argument) for sign in "_^"],
            prepend=True,
        )

    def symbol(self, macro: str) -> str | None:
        spec = self._symbols.latex_context.get_macro_spec(macro)
        sign = spec.simplify_repl if spec else None
        return sign if isinstance(sign, str) and "%" not in sign else None

    def read(self, tex: str) -> str:
        nodes, _, _ = self._walker.LatexWalker(tex, latex_context=self._context).get_latex_nodes()
        return self._text(nodes, tex)

    def _text(self, nodes: Sequence[Any], tex: str, *, in_formula: bool = False) -> str:
        text = ""
        for i, node in enumerate(nodes):
            if node is None:
                continue
            if node.isNodeType(self._walker.LatexCharsNode):
                text += node.chars
            elif node.isNodeType(self._walker.LatexGroupNode):
                text += self._text(node.nodelist, tex, in_formula=in_formula)
            elif node.isNodeType(self._walker.LatexMathNode):
                text += _spaced(self._text(node.nodelist, tex, in_formula=True))
            elif node.isNodeType(self._walker.LatexSpecialsNode):
                sign, arguments = node.specials_chars, self._arguments(node, tex, in_formula)
                if not arguments:
                    text += sign
                else:
                    text += _below(arguments[0]) if sign == "_" else _above(arguments[0])
            elif node.isNodeType(self._walker.LatexMacroNode):
                following = nodes[i + 1] if i + 1 < len(nodes) else None
                word = self._macro(node, following, tex, in_formula)
                if word[:1].isalpha() and text[-1:].isdigit() and len(word) > 1:
                    text += " "  # 10\kms
                text += word
            else:
                text += node.latex_verbatim()
        return text

    def _arguments(self, node: Any, tex: str, in_formula: bool) -> list[str]:
        given = node.nodeargd.argnlist if node.nodeargd else []
        return [
            self._text([argument], tex, in_formula=in_formula)
            for argument in given
            if argument is not None
        ]

    def _macro(self, node: Any, following: Any, tex: str, in_formula: bool) -> str:
        name: str = node.macroname
        space: str = node.macro_post_space
        if name in SILENT:
            return ""
        if name in OF_THE_FIELD:
            return OF_THE_FIELD[name] + space
        if arguments := self._arguments(node, tex, in_formula):
            return self._with_arguments(node, name, arguments)
        word = self.symbol(name)
        if word is not None and name != "today":
            after = tex[node.pos + node.len : node.pos + node.len + 12]
            if name in _LETTERS and not in_formula:
                return word
            if name in _GREEK and in_formula and _starts_with_letter(after):
                return word
            if word.isascii() and word.isalpha() and re.match(r"[{\\\w]", after):
                return word + (space or " ")  # \log{g}
            return word + space
        if not name.isalpha():
            return name + space
        holds_text = (
            following is not None
            and following.isNodeType(self._walker.LatexGroupNode)
            and following.nodelist
        )
        return "" if holds_text else name + space

    def _with_arguments(self, node: Any, name: str, arguments: list[str]) -> str:
        match arguments:
            case [letter] if name in _ACCENTS and len(letter.strip()) == 1:
                return str(self._symbols.macro_node_to_text(node))
            case [script] if name == "textsubscript":
                return _below(script)
            case [script] if name == "textsuperscript":
                return _above(script)
            case [element, stage] if name == "ion":
                number = int(stage) if stage.isdecimal() else 0
                numeral = ROMAN[number - 1] if 0 < number <= len(ROMAN) else stage.upper()
                return f"{element} {numeral}"
            case [above, below] if name in FRACTIONS:
                return f"{_as_one(above)}/{_as_one(below)}"
            case [*_, radicand] if name == "sqrt":
                return f"√{_as_one(radicand)}"
            case [*_, note] if name == "footnote":
                return f" [{note}]"
            case [url, words] if name == "href":
                return f"{words} ({url})"
            case [_, words] if name in ("textcolor", "texorpdfstring"):
                return words
        return " ".join(arguments)


def _starts_with_letter(tex: str) -> bool:
    r"""Whether a Greek letter before `tex` goes with it: `\Delta t`, `\mu {\rm m}`."""
    macro = re.match(r"\{?\\([A-Za-z]+)", tex)
    if macro:
        return macro[1] in _GREEK or macro[1] in ("rm", "mathrm", "text", "textrm")
    return re.match(r"\{?[A-Za-z]", tex) is not None


def _spaced(formula: str) -> str:
    """A formula's text with the spaces around its relations even: "z∼ 7" is z∼7."""
    formula = re.sub(rf"(?<=\S)([{_RELATIONS}]) +(?=\S)", r"\1", formula)
    formula = re.sub(rf"^( *[{_COMPARISONS}]) +(?=[\d.+-])", r"\1", formula)
    formula = formula.replace("⟨ ", "⟨").replace(" ⟩", "⟩")
    return re.sub(rf"(?<=\S) +([{_RELATIONS}])(?=[^\s{_RELATIONS}])", r"\1", formula)


def _as_one(text: str) -> str:
    """In brackets, unless it reads as one thing anyway."""
    text = text.strip()
    return (
        text
        if len(text) == 1 or re.fullmatch(r"[-+±−<>≲≳∼]?[^\s/+×=±<>−-]*", text)
        else f"({text})"
    )


def _below(text: str) -> str:
    """A subscript: in Unicode where that can be, after `_` elsewhere."""
    text = re.sub(r",\s+", ",", text.strip())
    text = re.sub(r"(?<=[A-Za-z]) (?=[IVX]+$)", "", text)  # N_{\rm H\,I}
    if text in ("", "⊙", "⊕", "⋆"):
        return text
    if _has_form(text, BELOW):
        return "".join(BELOW[letter] for letter in text)
    return f"_{_as_one(text)}"


def _above(text: str) -> str:
    """A superscript: in Unicode where that can be, after `^` elsewhere."""
    text = re.sub(r",\s+", ",", text.strip())
    text = _ALREADY_ABOVE.get(text, text)
    if not text or (len(text) == 1 and not text.isalnum() and text not in ABOVE):
        return text
    if _has_form(text, ABOVE) or text in ("th", "st", "nd", "rd"):
        return "".join(ABOVE[letter] for letter in text)
    return f"^{_as_one(text)}"


def _has_form(text: str, forms: dict[str, str]) -> bool:
    """Numbers and single letters: words of raised letters are hard to read."""
    return all(letter in forms for letter in text) and sum(map(str.isalpha, text)) <= 1
