r"""What the readers of TeX and of names know in common: letters, numerals, macros.

`tex` renders a text for people, `analysis` cuts it into terms, `quantities` reads its numbers, and
`authors` its names. Each keeps a reader of its own, because each goes over a text once and fast;
what a macro or a letter means stands here.
"""

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψωϵϑϕϖϱς",
        """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho
        sigma tau upsilon phi chi psi omega epsilon theta phi pi rho sigma""".split(),
        strict=True,
    )
)
"""Lower-case Greek letters, and their second forms, to the names of the letters."""

ROMAN = tuple(
    """I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI XXII XXIII XXIV
    XXV XXVI XXVII XXVIII""".split()
)
"""Roman numerals from 1, as far as the ionisation stages of nickel go."""

LETTERS = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ı": "i",
    "æ": "ae",
    "œ": "oe",
}
"""Lower-case letters that no decomposition turns into plain ones."""

COMBINING_ACCENTS = tuple(map(chr, range(0x300, 0x370)))
"""What decomposition (NFKD) splits off an accented letter."""

LETTER_MACROS = tuple("aa AA ae AE oe OE ss o O l L i".split())
r"""Macros that are a letter: `\o`."""

ACCENT_SIGNS = "'\"`^~=."
r"""Accents that need no space before their letter: `\'e`."""

ACCENT_LETTERS = "cvuHkbdr"
r"""Accents that need a space or braces before their letter: `\v{c}`."""

SILENT = frozenset(
    """rm it bf sf tt sl sc em cal rmfamily scshape itshape bfseries normalfont displaystyle left
    right big Big xspace small footnotesize scriptsize tiny noindent""".split()
)
"""Macros that say how the text around them looks; every reader passes over them."""

RELATIONS = {
    macro: sign
    for sign, macros in {
        "∼": "sim thicksim",
        "≃": "simeq",
        "≈": "approx",
        "≅": "cong",
        "≲": "lesssim la lsim lta lessapprox",
        "≳": "gtrsim ga gsim gta gtrapprox",
        "≤": "leq le",
        "≥": "geq ge",
        "⩽": "leqslant",
        "⩾": "geqslant",
        "<": "lt",
        ">": "gt",
        "≪": "ll",
        "≫": "gg",
        "±": "pm",
        "∝": "propto",
        "≡": "equiv",
    }.items()
    for macro in macros.split()
}
"""Macros of relations, those of AASTeX and A&A among them, to their signs."""
