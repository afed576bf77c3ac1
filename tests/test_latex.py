"""Titles and names as LaTeX: what is written, and that a real LaTeX takes it.

The tests that are slow run pdfLaTeX (Debian's texlive-latex-base), and are skipped without it.
"""

import random
from pathlib import Path

import pytest

from astrosearch.text import latex, tex
from astrosearch.text.latex import to_latex
from astrosearch.text.tex import to_unicode
from tests.bibliographies import HOSTILE, errors_of_latex


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (r"H$_2$O and $\Lambda$CDM at $10^{-3}$", r"H$_2$O and $\Lambda$CDM at $10^{-3}$"),
        (r"Dust at z \leq 3 and \(R_x\), $$R$$", r"Dust at z $\leq$ 3 and $R_x$, $R$"),
        (r"$^{56}\text{Ni}$, $M_{\text{BH}}$", r"$^{56}\textrm{Ni}$, $M_{\textrm{BH}}$"),
        (r"{\it Gaia} and \textit{TESS}", r"{\itshape Gaia} and \textit{TESS}"),
        (
            r"$M_{\rm BH}$, $M_\rm BH$, M_\odot",
            r"$M_{\mathrm{BH}}$, $M_{\mathrm{BH}}$, M$_{\odot}$",
        ),
        ("CO_2 at 10^{-3} K, H_3^+, 5^th", "CO$_2$ at 10$^{-3}$ K, H$_3^+$, 5$^{th}$"),
        (r"\ensuremath{\alpha} and \ensuremath{M_{\alpha}}", r"$\alpha$ and $M_{\alpha}$"),
        (r"a \alpha_1 b", r"a $\alpha_1$ b"),
        ("Tested\\\\with", "Tested with"),
        (r"\relax SDSS", "SDSS"),
        ("NGC_1068, IC_4329A, GW231109_235456", r"NGC\_1068, IC\_4329A, GW231109\_235456"),
        ("M_200 and sigma_8", "M$_{200}$ and sigma$_8$"),
        ("SDSS_J1234 and hi_class", r"SDSS\_J1234 and hi\_class"),
        (r"50\% of A \& B, \#1", r"50\% of A \& B, \#1"),
        ("50% of A & B, #1 <2 |b|", r"50\% of A \& B, \#1 $<$2 $|$b$|$"),
        ("Galaxies at z~7 and NGC~1234", r"Galaxies at z$\sim$7 and NGC~1234"),
        (
            r"\ion{C}{4} at 5\farcs2, 10\kms, \msun",
            r"C IV at 5.2$^{\prime\prime}$, 10 km/s, M$_{\odot}$",
        ),
        (r"the set \{x\}", r"the set $\lbrace$x$\rbrace$"),
        ("{unclosed", "unclosed"),
        (r"our code \snowflake", "our code snowflake"),
        (r"our code \code{snowflake}", "our code {snowflake}"),
        (r"$\vec{x}\,\mathbf{y}\bm{z}$", r"$\vec{x}\,\mathbf{y}\mathbf{z}$"),
        ("costs US$5", r"costs US\$5"),
        ('"quoted", with = and ,', '"quoted", with = and ,'),
        ("an e-mail to me@example.org", "an e-mail to me@example.org"),
        ("@misc{x}", "{@}misc{x}"),
        ("two\nlines\tand \x1b[31mred", "two lines and [31mred"),
        ("see https://example.org/~me_1", r"see https://example.org/\textasciitilde{}me\_1"),
    ],
)
def test_titles_keep_their_tex_and_what_would_break_is_escaped(text: str, written: str) -> None:
    assert to_latex(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Müller, Özel, Šubr", r"M{\"u}ller, {\"O}zel, {\v{S}}ubr"),
        (r"M\"uller, {\"O}zel, \v Subr", r"M{\"u}ller, {\"O}zel, {\v{S}}ubr"),
        ("Łucja Brø, Æsa, Groß, Åke", r"{\L}ucja Br{\o}, {\AE}sa, Gro{\ss}, {\AA}ke"),
        (r"Mart\'{\i}nez, Martínez", r"Mart{\'{\i}}nez, Mart{\'{\i}}nez"),
        ("Nguyễn", r"Nguy{\~{\^e}}n"),
        ("ΛCDM at 10⁻³ M⊙, H₂O", r"$\Lambda$CDM at 10$^{-3}$ M$_{\odot}$, H$_2$O"),
        ("5°, 3″ – “x”", r"5$^{\circ}$, 3$^{\prime\prime}$ -- ``x''"),
        ("$Λ$CDM, $α ≲ β$", r"$\Lambda$CDM, $\alpha \lesssim \beta$"),
        ("𝑀 ﬁne ½", "M fine 1/2"),
        ("張", "[U+5F35]"),
        ("a\u200bb\u202ec", "abc"),
    ],
)
def test_letters_and_signs_that_latex_lacks_are_spelt(text: str, written: str) -> None:
    assert to_latex(text).replace(r"\'i", r"\'{\i}") == written


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_written_is_ascii_with_braces_in_pairs_and_macros_that_are_known(text: str) -> None:
    written = to_latex(text)
    assert written.isascii()
    depth = 0
    for sign in written:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    macros = {match["word"] for match in latex._TOKEN.finditer(written) if match["word"]}
    assert not macros & set(
        "input write openin read csname def let catcode begin end immediate endinput verb".split()
    )


@pytest.mark.parametrize(
    "text",
    [r"A \alpha_1 in $x'^2_a$ of 5% \'e", "ΛCDM ế “x”… H₂O {M}31 $\\AA$ at 5°", "a_b < $_x$"],
)
def test_what_is_written_stays_as_it_is_when_it_is_read_again(text: str) -> None:
    assert to_latex(to_latex(text)) == to_latex(text)


@pytest.mark.parametrize(
    "title", [r"A {\rm km at $x_{1$", "10^-3 of T_eff & {50% $z", r"$N_\mathrm{HI}$ \{a\} US$5"]
)
def test_what_is_written_still_says_the_same(title: str) -> None:
    assert to_unicode(to_latex(title)) == to_unicode(title)


# --- a real LaTeX ---


def macros() -> list[str]:
    tables = (
        *(latex._SYMBOLS, latex._ARGUMENTS, latex._FORMULA_SPELLINGS, latex._FONTS),
        *(latex._SWITCHES, latex._SPACES, latex._TEXT_SYMBOLS, latex._ACCENTS, latex._LETTER_OF),
        *(tex.OF_THE_FIELD, tex.SILENT),
        *(["ion", "href", "textcolor", "texorpdfstring", "footnote", "ensuremath", "unknown"],),
        *(["textsuperscript", "textsubscript", *"{}()[]|%&#$_@*2"],),
    )
    return [f"\\{name}" for table in tables for name in table]


def compiled(texts: list[str], folder: Path) -> list[str]:
    return errors_of_latex(folder, "\n\n".join(f"{{{to_latex(text)}}}" for text in texts))


@pytest.mark.slow
def test_hostile_texts_compile(tmp_path: Path) -> None:
    assert compiled(HOSTILE, tmp_path) == []
    assert compiled([f"a{one}b$c{one}d$e" for one in HOSTILE if len(one) < 50], tmp_path) == []


@pytest.mark.slow
def test_every_macro_compiles_in_texts_and_formulas_with_and_without_arguments(
    tmp_path: Path,
) -> None:
    forms: tuple[str, ...] = (
        "{}",
        "{} x",
        "{}{{x}}",
        "{}{{x}}{{y}}",
        "${}$",
        "${} x$",
        "${}{{x}}{{y}}$",
    )
    forms += ("a_{}", "$x^{}$", "$x_{}{{y}}z$", r"\textit{{{}}}", r"$\mathrm{{{}}}$")
    texts = [form.format(macro) for macro in macros() for form in forms]
    assert compiled(texts, tmp_path) == []


@pytest.mark.slow
def test_a_thousand_texts_drawn_at_random_compile(tmp_path: Path) -> None:
    draw = random.Random(0)
    words = [*macros(), *(word for word in HOSTILE if len(word) < 8), *"{}{}$$$^_^_~%&'ab1. "]
    texts = ["".join(draw.choices(words, k=draw.randint(2, 14))) for _ in range(1000)]
    assert compiled(texts, tmp_path) == []
