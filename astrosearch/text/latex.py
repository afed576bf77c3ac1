r"""LaTeX that compiles, from the TeX that authors write in titles and names.

arXiv's metadata keep formulas without dollars, stray braces, macros of their authors, and letters
that a document in LaTeX lacks; and a title from anywhere may hold macros that act: `\input`,
`\write`. `to_latex` takes a text apart and writes it anew from what it knows: each macro that it
writes is on a list here, each other one becomes its sign or its name.

The result needs LaTeX of 2020 or later with amssymb, which aastex, aa and mnras load or advise. The
letters ą, ę, đ, ð, þ and ŋ need the T1 font encoding, as they do in any document.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple

from astrosearch.text import tex
from astrosearch.text.tables import GREEK, ROMAN

DEEPEST = 20
"""Braces within braces, at most; TeX itself gives up at about 250."""

# --- the macros that are written ---

# Of LaTeX itself and amssymb, without arguments, for formulas.
_SYMBOLS = tuple(
    (
        """sim varepsilon vartheta varpi varrho varsigma varphi Gamma Delta Theta Lambda Xi Pi Sigma
        Upsilon Phi Psi Omega pm mp times div ast star circ bullet cdot cap cup uplus sqcap sqcup
        vee wedge setminus wr diamond triangleleft triangleright oplus ominus otimes oslash odot
        bigcirc dagger ddagger amalg le leq ge geq equiv models prec succ perp preceq succeq simeq
        mid ll gg asymp parallel subset supset approx bowtie subseteq supseteq cong neq ne smile
        doteq frown in ni notin propto vdash dashv leftarrow rightarrow to gets leftrightarrow
        Leftarrow Rightarrow Leftrightarrow mapsto uparrow downarrow updownarrow Uparrow Downarrow
        longrightarrow longleftarrow longleftrightarrow hookrightarrow nearrow searrow swarrow
        nwarrow iff cdots ldots vdots ddots aleph hbar imath jmath ell wp Re Im prime emptyset
        nabla surd top bot angle forall exists neg flat natural sharp backslash partial infty
        triangle clubsuit diamondsuit heartsuit spadesuit sum prod coprod int oint bigcap bigcup
        langle rangle lbrace rbrace lceil rceil lfloor rfloor vert Vert lbrack rbrack not
        arccos arcsin arctan arg cos cosh cot coth csc det dim exp gcd hom inf ker lg lim liminf
        limsup ln log max min Pr sec sin sinh sup tan tanh lesssim gtrsim lessapprox gtrapprox
        leqslant geqslant lessgtr gtrless thicksim thickapprox varpropto square Box blacksquare
        lozenge bigstar blacktriangle triangledown varnothing hslash sphericalangle therefore
        because circledR"""
    ).split()
) + tuple(dict.fromkeys(name for name in GREEK.values() if name != "omicron"))
_IN_FORMULAS = frozenset(_SYMBOLS)
_ALPHABETS = frozenset("mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak".split())
_FEW_LETTERS = {
    "mathcal": ("[A-Z ]+", "mathit"),
    "mathbb": ("[A-Z ]+", "mathbf"),
    "mathfrak": ("[A-Za-z ]+", "mathit"),
}
"""Alphabets that lack characters, to the letters that they have, and what takes their place."""

_OVER_OR_UNDER = frozenset(
    """hat check breve acute grave tilde bar vec dot ddot mathring widehat widetilde overline
    underline overrightarrow overleftarrow""".split()
)
_ARGUMENTS = (
    dict.fromkeys(_ALPHABETS | _OVER_OR_UNDER, 1) | dict.fromkeys(tex.FRACTIONS, 2) | {"sqrt": 1}
)
"""Macros of formulas, to the number of their arguments."""

_FORMULA_SPELLINGS = (
    dict.fromkeys("bm boldsymbol pmb mathbfit".split(), "mathbf")
    | dict.fromkeys(("operatorname", "rmn", "mathop"), "mathrm")
    | dict.fromkeys(tex.FRACTIONS, "frac")
    | {"mathscr": "mathcal", "Bbb": "mathbb", "widebar": "bar", "lnot": "neg", "dots": "ldots"}
)
"""Macros of packages, to those of LaTeX itself."""

_FONTS = {
    name: name for name in "textrm textit textbf textsf texttt textsc textsl textup emph".split()
} | {"mbox": "mbox", "hbox": "mbox", "text": "textrm", "textnormal": "textrm"}
"""Macros whose argument is text, in a formula too."""

_SWITCHES = {
    "rm": ("rmfamily", "mathrm"),
    "it": ("itshape", "mathit"),
    "em": ("em", "mathit"),
    "sl": ("slshape", "mathit"),
    "bf": ("bfseries", "mathbf"),
    "sf": ("sffamily", "mathsf"),
    "tt": ("ttfamily", "mathtt"),
    "sc": ("scshape", "mathrm"),
}
_SWITCHES |= {name: (name, alphabet) for name, alphabet in _SWITCHES.values()}
_SWITCHES["cal"] = ("", "mathcal")
"""Changes of the font for the rest of a group, to what does it in a text and in a formula; those of
two letters are in some classes only."""

_ESCAPED = frozenset("%&#$_")
_SPACES = {" ": " ", ",": r"\,", ";": r"\,", ":": r"\,", ">": r"\,", "quad": " ", "qquad": " "}
_TEXT_SYMBOLS = frozenset(
    """S P dag ddag copyright pounds texteuro textregistered texttrademark textasciitilde
    textasciicircum textbackslash textbar textless textgreater textunderscore textbullet""".split()
)
_ACCENTS = dict(
    zip(
        "`'^~=u.\"rHvdckb",
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0328\u0331",
        strict=True,
    )
) | {"t": ""}
"""Macros of accents, to the accents; the tie of `\\t` is left out."""

_MARKS = {mark: macro for macro, mark in _ACCENTS.items() if mark} | {"\u0326": "c"}
_LETTERS = dict(
    zip(
        "ßøØłŁæÆœŒåÅıȷđĐðÐþÞŋŊ",
        "ss o O l L ae AE oe OE aa AA i j dj DJ dh DH th TH ng NG".split(),
        strict=True,
    )
)
"""Letters, to the macros that are them."""

_LETTER_OF = {macro: letter for letter, macro in _LETTERS.items()}
_FORMULA_SIGNS = "\\{}«»〈〉…·•●○☉★☆ħƛ"
_FORMULA_NAMES = """backslash lbrace rbrace ll gg langle rangle ldots cdot bullet bullet circ odot
    bigstar star hbar lambda""".split()
_TEXT_NAMES = """textasciicircum S P copyright pounds texteuro texttrademark
    textregistered""".split()
_SIGNS = (
    {sign: f"\\{sign}" for sign in _ESCAPED}
    | {sign: f"${sign}$" for sign in "<>|"}
    | {sign: f"{sign}{{}}" for sign in "?!"}  # before a quotation mark it would be another sign
    | dict(zip("–—―─‐‑‘’‚“”„", "-- --- --- -- - - ` ' , `` '' ,,".split(), strict=True))
    | {sign: f"$\\{macro}$" for sign, macro in zip(_FORMULA_SIGNS, _FORMULA_NAMES, strict=True)}
    | {sign: f"\\{macro}{{}}" for sign, macro in zip("^§¶©£€™®", _TEXT_NAMES, strict=True)}
    | {"−": "$-$", "‹": "$<$", "›": "$>$", "\u2044": "/", "\ufffd": "?", " \u0303": r" $\sim$"}
)
"""Signs as a text in LaTeX has them."""

# --- taking a text apart ---

_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]+)\*?(?P<space> *)|\\(?P<sign>.)|[{}$^_]|[^\\{}$^_]+", re.DOTALL
)


class _Node(NamedTuple):
    """A part of a text: characters, a macro without its arguments, the sign `^` or `_`, or what is
    between braces or dollars."""

    kind: Literal["text", "macro", "script", "group", "formula"]
    text: str = ""
    nodes: "tuple[_Node, ...]" = ()
    space: str = ""
    """Behind a macro."""


class _TooDeep(Exception):
    pass


def _nodes(text: str) -> tuple[_Node, ...]:
    """The parts of a text; braces and dollars without a partner are passed over."""
    levels: list[tuple[str, list[_Node]]] = [("", [])]

    def close() -> None:
        opening, inside = levels.pop()
        levels[-1][1].append(_Node("group" if opening == "{" else "formula", nodes=tuple(inside)))

    for match in _TOKEN.finditer(text):
        here, sign = levels[-1][1], match[0]
        if name := match["word"] or match["sign"]:
            here.append(_Node("macro", name, space=match["space"] or ""))
        elif sign == "$" and any(opening == "$" for opening, _ in levels):
            while levels[-1][0] != "$":
                close()
            close()
        elif sign in ("{", "$"):
            if len(levels) > DEEPEST:
                raise _TooDeep
            levels.append((sign, []))
        elif sign == "}":
            if levels[-1][0] == "{":
                close()
        else:
            here.append(_Node("script" if sign in ("^", "_") else "text", sign))
    while len(levels) > 1:
        close()
    return tuple(levels[0][1])


class _Queue:
    """Parts of a text that wait to be written; a macro takes its arguments from them."""

    def __init__(self, nodes: Sequence[_Node]) -> None:
        self._nodes = list(reversed(nodes))

    def __iter__(self) -> Iterator[_Node]:
        while self._nodes:
            yield self._nodes.pop()

    def push(self, nodes: Sequence[_Node]) -> None:
        self._nodes.extend(reversed(nodes))

    def next_text(self) -> str:
        """The characters that follow, up to the next macro, brace or dollar."""
        return self._nodes[-1].text if self._nodes and self._nodes[-1].kind == "text" else ""

    def take_text(self, count: int) -> str:
        text = self._nodes.pop().text
        if text[count:]:
            self._nodes.append(_Node("text", text[count:]))
        return text[:count]

    def has_group_next(self) -> bool:
        return bool(self._nodes) and self._nodes[-1].kind == "group" and bool(self._nodes[-1].nodes)

    def argument(self, depth: int = 0) -> tuple[_Node, ...] | None:
        """The next argument of a macro or a script: what a group holds, a character, or a macro
        with its own arguments; None if there is none."""
        if depth > DEEPEST:
            raise _TooDeep
        if self.next_text() and not self.next_text().strip():
            self._nodes.pop()
        if not self._nodes or self._nodes[-1].kind == "script":
            return None
        node = self._nodes.pop()
        match node.kind:
            case "group":
                return node.nodes
            case "text":
                text = node.text.lstrip()
                self.push([_Node("text", text)])
                return (_Node("text", self.take_text(1)),)
            case "macro":
                count = _argument_count(node.text)
                arguments = [self.argument(depth + 1) for _ in range(count)]
                groups = [_Node("group", nodes=nodes) for nodes in arguments if nodes is not None]
                return (node, *groups)
        return (node,)


def _argument_count(macro: str) -> int:
    if macro in _FONTS or macro in _ACCENTS or macro in ("ensuremath", "textsuperscript"):
        return 1
    return _ARGUMENTS.get(_FORMULA_SPELLINGS.get(macro, macro), 0)


# --- writing ---


class _Formula:
    """The inside of a formula, as it is written."""

    def __init__(self) -> None:
        self.latex = ""
        self._scripts = ""  # those of what was written last: TeX refuses two of one kind

    def add(self, latex: str) -> None:
        parted = latex[:1].isalpha() and re.search(r"\\[A-Za-z]+$", self.latex)
        self.latex += f" {latex}" if parted else latex
        if latex.strip():
            self._scripts = ""

    def add_script(self, sign: str, latex: str) -> None:
        if sign in self._scripts:
            self.add("{}")
        self.latex += sign + latex
        self._scripts += sign

    def add_prime(self) -> None:
        if "^" in self._scripts and not self.latex.endswith("'"):
            self.add("{}")
        self.latex += "'"
        self._scripts += "^"


class _Text:
    """A text, as it is written. Formulas that touch become one."""

    def __init__(self) -> None:
        self._latex = ""
        self._formula: _Formula | None = None

    @property
    def formula(self) -> _Formula:
        """The formula that the text ends with for now."""
        if self._formula is None:
            self._formula = _Formula()
        return self._formula

    def add(self, latex: str) -> None:
        if latex:
            self._latex, self._formula = self.latex + latex, None

    @property
    def latex(self) -> str:
        inside = self._formula.latex if self._formula else ""
        return self._latex + (f"${inside}$" if inside.strip() else inside)


def _text(nodes: Sequence[_Node]) -> str:
    out, queue = _Text(), _Queue(nodes)
    for node in queue:
        match node.kind:
            case "text":
                out.add(_characters(node.text))
            case "group":
                inside = _text(node.nodes)
                out.add(inside if not inside or _is_group(inside) else f"{{{inside}}}")
            case "formula":
                _write_formula(node.nodes, out.formula)
            case "script":
                body = _script(queue, node.text, in_text=True)
                if body is None:
                    out.add(_SIGNS[node.text])
                else:
                    out.formula.add_script(node.text, body)
            case "macro":
                _write_macro_in_text(node, queue, out)
    return out.latex


def _is_group(latex: str) -> bool:
    """Whether the first brace of a text closes with the last."""
    depth = 0
    for place, sign in enumerate(latex):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return place == len(latex) - 1 and place > 0
    return False


def _write_macro_in_text(node: _Node, queue: _Queue, out: _Text) -> None:
    name = _FORMULA_SPELLINGS.get(node.text, node.text)
    if name in _SWITCHES:
        out.add(f"\\{_SWITCHES[name][0]} " if _SWITCHES[name][0] else "")
    elif name in _IN_FORMULAS:
        out.formula.add(f"\\{name}")
        out.add(node.space)
    elif name in _ARGUMENTS:
        _write_with_arguments(name, queue, out.formula)
    elif name == "ensuremath":
        _write_formula(queue.argument() or (), out.formula)
    elif (latex := _text_macro(name, queue)) is not None:
        out.add(latex)
    else:
        parts = _expanded(node, queue)
        if out.latex[-1:].isdigit() and parts and parts[0].text[:2].isalpha():
            out.add(" ")  # 10\kms
        queue.push(parts)


def _formula(nodes: Sequence[_Node]) -> str:
    out = _Formula()
    _write_formula(nodes, out)
    return out.latex


def _write_formula(nodes: Sequence[_Node], out: _Formula) -> None:
    queue = _Queue(nodes)
    for node in queue:
        match node.kind:
            case "text":
                _write_characters(node.text, out)
            case "group":
                out.add(f"{{{_formula(node.nodes)}}}")
            case "formula":
                _write_formula(node.nodes, out)
            case "script":
                body = _script(queue, node.text, in_text=False)
                if body is None:
                    out.add(rf"\mbox{{{_SIGNS[node.text]}}}")
                else:
                    out.add_script(node.text, body)
            case "macro":
                _write_macro_in_formula(node, queue, out)


def _write_macro_in_formula(node: _Node, queue: _Queue, out: _Formula) -> None:
    name = _FORMULA_SPELLINGS.get(node.text, node.text)
    if name in _SWITCHES:
        body = _formula(tuple(queue))
        out.add(f"\\{_alphabet(_SWITCHES[name][1], body)}{{{body}}}")
    elif name in _IN_FORMULAS or name in _ESCAPED:
        out.add(f"\\{name}{node.space}")
    elif name in _ARGUMENTS:
        _write_with_arguments(name, queue, out)
    elif name == "ensuremath":
        _write_formula(queue.argument() or (), out)
    elif name in _SPACES:
        out.add(_SPACES[name])
    elif (latex := _text_macro(name, queue)) is not None:
        out.add(latex if name in _FONTS else rf"\mbox{{{latex}}}")
    else:
        queue.push([_in_roman(part) for part in _expanded(node, queue)])


def _write_with_arguments(name: str, queue: _Queue, out: _Formula) -> None:
    """A macro of formulas with its arguments; without the macro if it lacks one."""
    option = re.match(r"\[[\w+-]{1,9}\]", queue.next_text()) if name == "sqrt" else None
    if option:
        queue.take_text(option.end())
    arguments = [queue.argument() for _ in range(_ARGUMENTS[name])]
    bodies = [_formula(nodes) for nodes in arguments if nodes is not None]
    macro = f"\\{_alphabet(name, bodies[0])}{option[0] if option else ''}" if bodies else ""
    whole = len(bodies) == len(arguments)
    out.add((macro if whole else "") + "".join(f"{{{body}}}" for body in bodies))


def _alphabet(name: str, body: str) -> str:
    """An alphabet that has all of the characters."""
    if name in _FEW_LETTERS:
        letters, other = _FEW_LETTERS[name]
        return name if re.fullmatch(letters, body) else other
    return name


def _in_roman(node: _Node) -> _Node:
    """Letters in a formula that are a word, and no product of variables."""
    if node.kind == "text" and re.search("[A-Za-z]{2}", node.text):
        return _Node("group", nodes=(_Node("macro", "rm"), node))
    return node


# What a sign sets below or above outside of formulas: CO_2, 10^-3, M_x, but not SDSS_J1234.
_SCRIPTS_IN_TEXT = {
    "_": re.compile(r"[-+−]?\d+(?:\.\d+)?(?![A-Z]?[a-z])|[A-Za-z*⊙☉⊕⋆](?![A-Za-z0-9])|[-+](?!\w)"),
    "^": re.compile(r"[-+−]?\d+(?:\.\d+)?|[A-Za-z]+|[*⊙☉⊕⋆]|[-+](?!\w)"),
}
_SCRIPT_IN_FORMULA = re.compile(r"[-+−]?\d+(?:\.\d+)?|[A-Za-z][A-Za-z0-9]+")
_BRACKETED = re.compile(r"\(([^()]{1,12})\)")


def _script(queue: _Queue, sign: str, *, in_text: bool) -> str | None:
    """What stands below or above, in braces where it needs them; None if nothing does."""
    following = queue.next_text()
    pattern = _SCRIPTS_IN_TEXT[sign] if in_text else _SCRIPT_IN_FORMULA
    bracketed = _BRACKETED.match(following) if sign == "^" else None
    if match := bracketed or pattern.match(following):
        text = queue.take_text(match.end())
        nodes: Sequence[_Node] = [_Node("text", text[1:-1] if bracketed else text)]
    elif in_text and following.strip():
        return None
    else:
        nodes = queue.argument() or ()
        if len(nodes) == 1 and nodes[0].kind == "macro" and nodes[0].text in _SWITCHES:
            nodes = [*nodes, *_changed_word(queue)]
    body = _formula(nodes)
    if not body.strip():
        return "{}" if nodes else None
    return body if re.fullmatch(r"[A-Za-z0-9*+-]", body) else f"{{{body}}}"


def _changed_word(queue: _Queue) -> Sequence[_Node]:
    r"""What a change of the font is for: to its author all of the word in `M_\rm BH` is below."""
    if queue.has_group_next():
        return queue.argument() or ()
    word = re.match(r"[A-Za-z0-9]*", queue.next_text())
    return [_Node("text", queue.take_text(word.end()))] if word and word[0] else ()


def _write_characters(text: str, out: _Formula) -> None:
    for match in _CHARACTER.finditer(text):
        sign = match[0]
        if sign == "'":
            out.add_prime()
        elif sign.isascii() and (sign not in _SIGNS or sign in "<>|?!"):
            out.add(sign)
        else:
            latex = _characters(sign)
            if latex[:1] == latex[-1:] == "$":
                out.add(latex[1:-1])
            elif latex.startswith("\\") and sign in _ESCAPED:
                out.add(latex)
            elif latex:
                out.add(rf"\mbox{{{latex}}}")


def _text_macro(name: str, queue: _Queue) -> str | None:
    """A macro of texts with its argument, as LaTeX; None if it is not one that is written."""
    if name in _ESCAPED:
        return f"\\{name}"
    if name in _SPACES:
        return _SPACES[name]
    if name in _TEXT_SYMBOLS:
        return f"\\{name}{{}}"
    if name in _LETTER_OF:
        return f"{{\\{name}}}"
    if name in _FONTS:
        argument = queue.argument()
        return None if argument is None else rf"\{_FONTS[name]}{{{_text(argument)}}}"
    if name in _ACCENTS:
        return _accented(name, queue)
    return None


def _accented(name: str, queue: _Queue) -> str:
    argument = queue.argument()
    if not argument:  # `\~{}` is the sign itself
        return r"\textasciitilde{}" if name == "~" else _characters("" if name.isalpha() else name)
    letters = _letters(argument)
    return _text(argument) if letters is None else _characters(_with_accent(letters, name))


def _letters(nodes: Sequence[_Node]) -> str | None:
    """Characters without TeX; None if there is more to it than letters and accents."""
    letters, queue = "", _Queue(nodes)
    for node in queue:
        name, inside = node.text, None
        if node.kind == "text":
            inside = name
        elif node.kind == "group":
            inside = _letters(node.nodes)
        elif name in _LETTER_OF:
            inside = _LETTER_OF[name]
        elif name in _ACCENTS and (argument := queue.argument()):
            inside = _letters(argument)
            inside = None if inside is None else _with_accent(inside, name)
        if inside is None:
            return None
        letters += inside
    return letters


def _with_accent(letters: str, name: str) -> str:
    first = _CHARACTER.match(letters)
    end = first.end() if first else 0
    return letters[:end] + _ACCENTS[name] + letters[end:]


def _expanded(node: _Node, queue: _Queue) -> tuple[_Node, ...]:
    """What a macro stands for that is not written itself, with its arguments."""
    name, behind = node.text, _Node("text", node.space)
    match name:
        case "{" | "}":
            return (_Node("macro", "lbrace" if name == "{" else "rbrace"),)
        case "ion":
            element, stage = queue.argument() or (), _text(queue.argument() or ())
            number = int(stage) if re.fullmatch(r"\d\d?", stage) else 0
            numeral = ROMAN[number - 1] if 0 < number <= len(ROMAN) else stage.upper()
            return (*element, _Node("text", f" {numeral}"))
        case "textcolor" | "texorpdfstring":
            queue.argument()
            return queue.argument() or ()
        case "href":
            address, words = queue.argument() or (), queue.argument() or ()
            return (*words, _Node("text", " ("), *address, _Node("text", ")"))
        case "footnote" | "thanks":
            return (_Node("text", " ["), *(queue.argument() or ()), _Node("text", "]"))
        case "textsuperscript" | "textsubscript":
            sign = "^" if name == "textsuperscript" else "_"
            return (_Node("script", sign), _Node("group", nodes=queue.argument() or ()))
    if name in tex.SILENT:
        return ()
    if sign := tex.symbol(name):
        return (*_nodes(_respelt(sign)), behind)
    if queue.has_group_next():
        return ()
    return (_Node("text", name), behind)


# --- characters ---

_CHARACTER = re.compile(r"[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]")
_TO_SPELL = re.compile(r"[^\u0300-\u036f][\u0300-\u036f]+|[^\x00-\x7f]|[%&#$_^\\{}<>|]|[?!](?=`)")


def _characters(text: str) -> str:
    return _TO_SPELL.sub(lambda match: _character(match[0]), text)


def _character(cluster: str) -> str:
    """A character with its accents, as a text in LaTeX has it."""
    if (sign := _SIGNS.get(cluster)) is not None:
        return sign
    if letter := _LETTERS.get(unicodedata.normalize("NFC", cluster)):
        return f"{{\\{letter}}}"
    apart = unicodedata.normalize("NFD", cluster)
    base, marks = apart[0], apart[1:]
    if base in _LETTERS or (base.isascii() and base.isalpha()):
        latex = f"\\{_LETTERS[base]}" if base in _LETTERS else base
        for mark in marks:
            if macro := _MARKS.get(mark):
                short = not macro.isalpha() and len(latex) == 1
                latex = f"\\{macro}{latex}" if short else rf"\{macro}{{{latex}}}"
        return f"{{{latex}}}" if "\\" in latex else latex
    if marks:
        return _characters(base)
    if macro := _macros().get(base):
        return f"$\\{macro}$"
    return _other_character(base)


def _other_character(sign: str) -> str:
    if ord(sign) in _URL_HERE:
        return sign
    category = unicodedata.category(sign)
    if category in ("Cf", "Cc", "Cs", "Mn", "Me"):
        return ""
    if category == "Zs":
        return " "
    alike = unicodedata.normalize("NFKD", sign)
    if alike != sign and len(alike) <= 8:
        return _characters(alike)
    return f"[U+{ord(sign):04X}]"


@cache
def _macros() -> dict[str, str]:
    """Signs, to the macros of formulas that are them."""
    return {sign: name for name in reversed(_SYMBOLS) if len(sign := tex.symbol(name)) == 1}


_RAISED = str.maketrans({sign: plain for plain, sign in tex.ABOVE.items()})
_LOWERED = str.maketrans({sign: plain for plain, sign in tex.BELOW.items()})
_RAISED_SIGNS = re.compile(f"[{''.join(tex.ABOVE.values())}]+")
_LOWERED_SIGNS = re.compile(f"[{''.join(tex.BELOW.values())}]+")
_ALWAYS_RAISED = {"°": r"^{\circ}", "′": r"^{\prime}", "″": r"^{\prime\prime}"}
_SUN_OF = re.compile(r"(?<=[A-Za-z])([⊙☉⊕])")


def _respelt(text: str) -> str:
    """Characters that are set below or above, as TeX has them."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    text = _RAISED_SIGNS.sub(lambda match: f"^{{{match[0].translate(_RAISED)}}}", text)
    text = _LOWERED_SIGNS.sub(lambda match: f"_{{{match[0].translate(_LOWERED)}}}", text)
    for sign, script in _ALWAYS_RAISED.items():
        text = text.replace(sign, script)
    return _SUN_OF.sub(r"_\1", text)


# --- all of it ---

_URL_HERE = range(0xF0000, 0xF0100)
"""Characters for private use: each stands for an address until the text is written."""

_TO_REWRITE = re.compile(r"[\\{}$^_%&#~<>|@]|[?!]`")


def to_latex(text: str) -> str:
    r"""A text as LaTeX that compiles: TeX in it is kept, what would break is escaped or spelt out,
    and no macro acts. Braces pair up, also to a reader who counts escaped ones.

    >>> print(to_latex(r"50% of Müller's \Lambda CDM at 10^{-3} & \input{x"))
    50\% of M{\"u}ller's $\Lambda$ CDM at 10$^{-3}$ \& x

    A character that LaTeX lacks, such as a letter of another script, is written as `[U+5F35]`.
    """
    text = " ".join(tex.one_line(text).split())
    if text.isascii() and not _TO_REWRITE.search(text):
        return text
    if tex.is_overgrown(text):
        return _without_tex(text)
    text = "".join(sign for sign in text if ord(sign) not in _URL_HERE)
    urls: list[str] = []

    def hide(match: re.Match[str]) -> str:
        if len(urls) == len(_URL_HERE):
            return match[0]
        urls.append(re.sub(r"\\([_%#&~])(?:\{\})?", r"\1", match[0]))
        return chr(_URL_HERE[len(urls) - 1])

    text = tex.spelt_plainly(tex.URL.sub(hide, text), tie="~")
    try:
        latex = _text(_nodes(_respelt(text)))
    except _TooDeep:
        return _without_tex(text)
    latex = _TOUCHING.sub(_as_one, latex)
    for sign, url in zip(_URL_HERE, urls, strict=False):
        latex = latex.replace(chr(sign), _characters(url).replace("~", r"\textasciitilde{}"))
    # A reader of BibTeX may take an `@` with a word and a brace for another entry.
    return " ".join(re.sub(r"@(?=\w*[ \t]*\{)", "{@}", latex).split())


_TOUCHING = re.compile(r"(\\[A-Za-z]+)?(?<!\\)\$\$([A-Za-z])?")


def _as_one(match: re.Match[str]) -> str:
    """The end of a formula and the beginning of the next."""
    macro, letter = match[1] or "", match[2] or ""
    return f"{macro} {letter}" if macro and letter else macro + letter


def _without_tex(text: str) -> str:
    return " ".join(_characters(re.sub(r"[\\{}$&#%_^~\"<>|]", " ", text)).split())
