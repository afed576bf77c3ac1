"""Abstracts cut into sentences."""

import re

WORDS_A_HALF = 5
"""Fewer words say too little to be asked for."""

# The end of a sentence, but not of an abbreviation or an initial.
_BOUNDARY = re.compile(
    r"(?<!\bet al)(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)(?<!\b[Ff]ig)(?<!\b[Ss]ec)(?<!\b[Rr]ef)"
    r"(?<!\b[Ee]q)(?<!\bca)(?<!\bapprox)(?<!\b[A-Z])[.!?][)\"'”]?\s+(?=[A-Z0-9$\\({\"“])"
)


def sentences(text: str) -> list[str]:
    """
    >>> sentences("Gas was stripped from the cloud, e.g. by M. Way. We model it.")
    ['Gas was stripped from the cloud, e.g. by M. Way.', 'We model it.']
    """
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text begin and end, without the space around them.

    >>> sentence_spans("It is cold. We go in. ")
    [(0, 11), (12, 21)]
    """
    ends = [match.end() for match in _BOUNDARY.finditer(text)]
    spans = []
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        part = text[start:end]
        if part.strip():
            left = len(part) - len(part.lstrip())
            spans.append((start + left, start + len(part.rstrip())))
    return spans


def halves(abstract: str) -> tuple[str, str] | None:
    """An abstract cut between two sentences, as near to its middle as can be.

    >>> halves("Gas was stripped from the cloud. We model it with $N$-body runs.")
    ('Gas was stripped from the cloud.', 'We model it with $N$-body runs.')

    None if that leaves less than `WORDS_A_HALF` on a side.
    """
    ends = [match.end() for match in _BOUNDARY.finditer(abstract)]
    for end in sorted(ends, key=lambda end: abs(2 * end - len(abstract))):
        first, second = abstract[:end].strip(), abstract[end:].strip()
        if min(len(first.split()), len(second.split())) >= WORDS_A_HALF:
            return first, second
    return None
