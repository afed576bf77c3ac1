r"""HTML, JATS and MathML become text and TeX; what only looks like them stays."""

import time

import pytest

from astrosearch.text.markup import without_markup

MASS = (
    '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:msub><mml:mi>M</mml:mi>'
    "<mml:mn>20</mml:mn></mml:msub></mml:math>"
)
TEX = r'<tex-math id="M1" notation="LaTeX">$z\sim 7$</tex-math>'


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Dust &amp; gas: H<sub>2</sub> at z &lt; 6", "Dust & gas: H$_2$ at z < 6"),
        ("&amp;lt; &amp;amp; &#x3b1; &#945; &alpha; &rarr;", "< & α α α →"),
        ("M<SUB>sun</SUB> 10<sup>-3</sup> <sup>13</sup>CO", "M$_{sun}$ 10$^{-3}$ $^{13}$CO"),
        ("<i>H<sub>2</sub></i>O, <sub><i>x</i></sub>", "H$_2$O, $_x$"),
        ("e<sup>x<sup>2</sup></sup>", "e$^{x^2}$"),
        (r"$M<sub>2</sub>$ and M<sub>$\odot$</sub>", r"$M_2$ and M$_{\odot}$"),
        ("x<sub></sub>y", "xy"),
        ("O<sc>iii</sc> and [O <sc>iii</sc>] in <sc>Gaia</sc>", "OIII and [O III] in Gaia"),
        ("<p>We look.</p><p>We find.</p>", "We look. We find."),
        ("We look.<p>We find.<br>We end.<BR />So.<br/>Yes", "We look. We find. We end. So. Yes"),
        (
            "<jats:title>Abstract</jats:title><jats:p>We <jats:italic>look</jats:italic></jats:p>",
            "We look",
        ),
        ("<ul><li>a</li><li>b</li></ul>", "a b"),
        ("&lt;i&gt;Gaia&lt;/i&gt; H&lt;sub&gt;2&lt;/sub&gt;", "Gaia H$_2$"),
        ('<ASTROBJ>NGC 1</ASTROBJ> at <a href="http://a.b/?c=d&amp;e=f">CDS</a>', "NGC 1 at CDS"),
        ('<span class="a">b</span><xref ref-type="bibr">1</xref>', "b1"),
        ("<!-- a comment -->dust", "dust"),
        ("H<sub>2 and <em>Gaia", "H2 and Gaia"),
        ("dust</sup> and gas</i>", "dust and gas"),
        (f"a {MASS} b", "a $M_{20}$ b"),
        (f"a <inline-formula>{MASS}</inline-formula> b", "a $M_{20}$ b"),
        (f"<inline-formula>{TEX}</inline-formula>", r"$z\sim 7$"),
        (
            f"<inline-formula><alternatives>{TEX}{MASS}</alternatives></inline-formula>",
            r"$z\sim 7$",
        ),
        (
            f'<alternatives>{MASS}{TEX}<inline-graphic xlink:href="a.gif"/></alternatives>',
            r"$z\sim 7$",
        ),
        (r"<tex-math><![CDATA[$z\sim 7$]]></tex-math>", r"$z\sim 7$"),
        (
            r"<tex-math>\documentclass{a}\begin{document}$$z\sim 7$$\end{document}</tex-math>",
            r"$z\sim 7$",
        ),
        ("<math><mi>z</mi><mo>&lt;</mo><mn>6</mn></math> &lt; 7", "$z<6$ < 7"),
        ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", r"$\frac{1}{2}$"),
        ("<math><msqrt><mi>x</mi></msqrt><mo>&le;</mo><mn>3</mn></math>", r"$\sqrt{x}≤3$"),
        ("<math><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>", "$x_1^2$"),
        ("<MATH><MI>x</MI></MATH>", "$x$"),
        ("&lt;math&gt;&lt;mi&gt;x&lt;/mi&gt;&lt;/math&gt;", "$x$"),
        ("<math><mi>x</math>", "$x$"),
    ],
)
def test_markup_becomes_text_and_tex(text: str, plain: str) -> None:
    assert " ".join(without_markup(text).split()) == plain


@pytest.mark.parametrize(
    "text",
    [
        "x<y and y>z",
        "if a<b, then c>d",
        "0<z<3",
        "<B> of 3 G, <z> = 2 and <v_los>",
        "<Q>/<I> and <Delta V>",
        "the <<many lamps>> of a town",
        "the pressure <p> rises",
        "$<B>$ and $<p>$",
        "R&D and AT&T; &nothing;",
        "F1-F2+1<F2-F4 and F2-F4>0.9",
        r"$\left<x\right>$",
    ],
)
def test_averages_and_relations_stay(text: str) -> None:
    assert without_markup(text) == text


def test_an_average_beside_markup_stays() -> None:
    text = "<B> of <i>Gaia</i> and <b>bold</b> <B>, z &lt; 6 < 7"
    assert without_markup(text) == "<B> of Gaia and bold <B>, z < 6 < 7"


@pytest.mark.parametrize(
    "part",
    ["<b>", "<sub>x</sub>", "<math>", "<!--", "</b>", "<a ", "<alternatives><tex-math>", MASS, "<"],
)
def test_a_hundred_thousand_characters_of_markup_end_in_time(part: str) -> None:
    text = part * (100_000 // len(part))
    start = time.thread_time()
    without_markup(text)
    without_markup(text + "</alternatives>" * 60 + "</math>" * 60)
    assert time.thread_time() - start < 5
