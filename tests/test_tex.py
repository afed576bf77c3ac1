"""TeX as authors write it, and the text a reader should see instead."""

import subprocess
import sys
import time

import pytest

from astrosearch.text.tex import to_unicode


def reads(tex: str, text: str) -> None:
    assert to_unicode(tex) == text


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"$\Lambda$CDM", "ΛCDM"),
        ("$Λ$CDM", "ΛCDM"),
        (r"M$_\odot$", "M⊙"),
        (r"M_{\odot}", "M⊙"),
        (r"$M_\odot\,{\rm yr}^{-1}$", "M⊙ yr⁻¹"),
        (r"$3\,R_{\oplus}$", "3 R⊕"),
        (r"H$\alpha$ and Ly$\beta$", "Hα and Lyβ"),
        (r"Ly$\boldsymbolα$, $\bm{x}$, \boldmath$y$", "Lyα, x, y"),
        (r"$\mu$m, $\mu {\rm Jy}$", "μm, μJy"),
        (r"$\Delta t$", "Δt"),
        (r"$\log M$ and $\log{g}$", "log M and log g"),
        (r"$\dot{M}$, $\ddot a$", "Ṁ, ä"),
        (r"$\mathcal{M}$ and $\mathbf{x}$", "M and x"),
        (r"$\langle \sigma v \rangle$", "⟨σv⟩"),
        (r"$\frac{1}{2}$, $\frac{a+b}{c}$, $\sqrt{2}$, $\sqrt{a+b}$", "1/2, (a+b)/c, √2, √(a+b)"),
        (r"$\sqrtα$", "√α"),
        (r"\ion{H}{i}, \ion{C}{4}, \ion{Fe}{\textsc{xxv}}", "H I, C IV, Fe XXV"),
    ],
)
def test_symbols_become_unicode(tex: str, text: str) -> None:
    reads(tex, text)


def test_half_of_a_surrogate_pair_is_shown_as_a_sign_that_every_output_holds() -> None:
    for code in ("d800", "DBFF", "dc00", "dfff"):
        reads(rf"\unicode{{x{code}}} quasar", "\ufffd quasar")
    reads(r"\unicode{x3b1} and \unicode{x1d53c} and \unicode{xd7ff}", "α and 𝔼 and \ud7ff")


def test_stages_of_ionisation_are_roman_as_far_as_nickel_goes() -> None:
    reads(r"\ion{Ni}{28}, \ion{Fe}{26}, \ion{Fe}{0}", "Ni XXVIII, Fe XXVI, Fe 0")


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("10^{-3}", "10⁻³"),
        ("10^-3 and 10^(-8) and 10^14", "10⁻³ and 10⁻⁸ and 10¹⁴"),
        ("H$_2$O, CH$_{3}$OH, H_2O", "H₂O, CH₃OH, H₂O"),
        ("$^{13}$CO", "¹³CO"),
        (r"30$^\circ$, 0.5$^{\prime\prime}$, 0\farcs5", "30°, 0.5″, 0.5″"),
        ("$z_s$, $x^n$, 5$^{th}$", "zₛ, xⁿ, 5ᵗʰ"),
        ("Sgr A$^*$", "Sgr A*"),
        (r"km\textsuperscript{2}, F\textsubscript{2}", "km², F₂"),
    ],
)
def test_raised_and_lowered_numbers_and_letters_become_unicode(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"$T_{\rm eff}$", "T_eff"),
        (r"$T_\mathrm{eff}$, $M_\rm BH$, $M_{\text{BH}}$", "T_eff, M_BH, M_BH"),
        ("r_max and file_name", "r_max and file_name"),
        ("NGC_1068, GW231109_235456", "NGC_1068, GW231109_235456"),
        ("M_200, $R_500$, sigma_8", "M₂₀₀, R₅₀₀, sigma₈"),
        ("$2.4^{+0.3}_{-0.2}$", "2.4^+0.3_-0.2"),
        ("$10^{13.5}$", "10^13.5"),
        (r"$e^{-t/\tau}$", "e^(-t/τ)"),
        (r"$N_{\rm H\,I}$", "N_HI"),
        ("$(1+z)^{1/2}$", "(1+z)^(1/2)"),
    ],
)
def test_scripts_without_a_unicode_form_keep_their_sign(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"$z\sim7$", "z∼7"),
        (r"$z\sim 7$", "z∼7"),
        (r"$z \sim 7$", "z ∼ 7"),
        (r"$\approx 3$ or $\lesssim$5", "≈3 or ≲5"),
        (r"$5 \times 10^{8}$", "5 × 10⁸"),
        (r"$\alpha \sim 2$", "α ∼ 2"),
    ],
)
def test_relations_have_even_spaces(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"B. T\'eglas", "B. Téglas"),
        (r"M\"uller, {\"O}zel, \v{S}ubr, Ho\v rava", "Müller, Özel, Šubr, Hořava"),
        (r"{\AA}kerman, M\aa ns, {\L}ukasz, S{\o}ren", "Åkerman, Måns, Łukasz, Søren"),
        (r"Fran\c coise, Mu\~noz, Mart\'{\i}nez", "Françoise, Muñoz, Martínez"),
        (r"O'Neill and D'Angelo", "O'Neill and D'Angelo"),
    ],
)
def test_names_get_their_accents(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"{\it Gaia}, \textit{TESS} and \emph{Fermi}", "Gaia, TESS and Fermi"),
        (r"5\,kpc, 90\,\% and e.g.\ this", "5 kpc, 90 % and e.g. this"),
        (r"a \kms-wide line", "a km/s-wide line"),
        (r"10\kms{} and 2$\times$10$^5$\Msun", "10 km/s and 2×10⁵ M⊙"),
        (r"our code \snowflake is public", "our code snowflake is public"),
        (r"our code \code{snowflake} is public", "our code snowflake is public"),
        (r"First line\\second line", "First line second line"),
        (r"\[OIII\] and \(x\) and $$y$$", "[OIII] and x and y"),
        (r"A \& B, \#1, a\_b, \{x\}", "A & B, #1, a_b, {x}"),
        (r"see \url{https://example.org/~me/a_b%20c}.", "see https://example.org/~me/a_b%20c."),
        ("at https://example.org/a_b~c $x$", "at https://example.org/a_b~c x"),
        (r"\href{https://a.org/x_y}{our page}", "our page (https://a.org/x_y)"),
        (r"\href{https://a.org/x_y}{our pa", "https://a.org/x_y our pa"),
    ],
)
def test_markup_goes_and_its_words_stay(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("``quoted'' and ''quoted'' and `one'", "“quoted” and “quoted” and ‘one’"),
        ("Kelvin--Helmholtz --- a review", "Kelvin–Helmholtz — a review"),
        ("a 5'' beam and 1I/`Oumuamua's", "a 5'' beam and 1I/`Oumuamua's"),
    ],
)
def test_quotes_and_dashes_are_typographic(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    "text", ["galaxies at z~7", "~10 kpc away", "at ~ 3 Gyr", "(~2 pc)", "R~2000", "T_eff~5000 K"]
)
def test_a_tilde_that_means_about_is_kept(text: str) -> None:
    reads(text, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("Fig.~1", "Fig. 1"),
        ("M31~and", "M31 and"),
        ("NGC~4151 and M~87", "NGC 4151 and M 87"),
        ("5~kpc", "5 kpc"),
        (r"$10~{\rm kpc}$", "10 kpc"),
        (r"$\sim$~3 Myr", "∼ 3 Myr"),
        (r"$M$~$>$~5 but $z$~7", "M > 5 but z~7"),
    ],
)
def test_a_tilde_that_ties_words_becomes_a_space(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"90% of $x$ are lost, or not", "90% of x are lost, or not"),
        ("A & B # C < D > E $x$", "A & B # C < D > E x"),
        (r"it costs US$5 at $z\sim 1$", "it costs US$5 at z∼1"),
        (r"between $3 million and $5 million, $x_1$", "between $3 million and $5 million, x₁"),
        (r"(about $1000) for $H_0$", "(about $1000) for H₀"),
        (r"at $5, or so, $H_0$", "at $5, or so, H₀"),
        (r"the value $H_0 = 70", "the value H₀ = 70"),
        (r"{\rm unclosed and }closed} and {open", "unclosed and closed and open"),
        (r"cut in $10^{-3", "cut in 10⁻³"),
    ],
)
def test_stray_percent_dollar_and_brace_swallow_nothing(tex: str, text: str) -> None:
    reads(tex, text)


@pytest.mark.parametrize(
    "text",
    [
        "The final spin of binary black holes (100% real) & more <b> #1",
        "Łódź, 漢字, e-mail me: a.b@c.de",
        "two  spaces\tand a tab\n",
        "",
    ],
)
def test_a_text_without_tex_is_unchanged(text: str) -> None:
    reads(text, text)


@pytest.mark.parametrize(
    "tex",
    [
        "\\",
        "$",
        "^",
        "_",
        "{",
        "}",
        "~",
        "\\frac",
        "\\frac{1",
        '\\"',
        "^_^",
        "\\verb|",
        "\\begin{x}",
    ]
    + [sign * 5000 for sign in ("{", "$", "^", "`", "\\[", "_{", "\\(", "{$")],
)
def test_broken_tex_neither_raises_nor_vanishes_nor_takes_long(tex: str) -> None:
    start = time.thread_time()
    assert to_unicode(tex) != ""
    assert time.thread_time() - start < 2


def test_pylatexenc_is_not_imported_for_a_text_without_tex() -> None:
    program = (
        "import sys; from astrosearch.text.tex import to_unicode; to_unicode('Fig.~1 -- plain'); "
        "assert not any('pylatexenc' in name for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
