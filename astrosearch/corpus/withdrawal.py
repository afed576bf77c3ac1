"""Whether a paper was withdrawn, by its comments and its abstract: who withdraws what.

Many papers speak of a withdrawal: of an earlier version, of another paper, from a journal, of an
instrument. One that was withdrawn says so of itself.
"""

import re

_PAPER = (
    r"(?:paper|article|manuscript|submission|preprint|e-?print|work|letter|contribution|note|"
    r"report|study|version|draft|document|posting)"
)
_GONE = r"(?:withdrawn|retracted)"
# From a journal the authors may well have gone to another one.
_NOT_FROM_A_JOURNAL = (
    r"(?!\s+(?:from|by)\s+(?!(?:the\s+|this\s+)?(?:arxiv|archive|e-?print|astro-ph|publication|"
    r"server|author|us\b|request|submitter|all|him|her|its|our|first|lead|administrat|admin)))"
)
_ADVERBS = r"(?:(?:now|hereby|since|temporarily|unfortunately|currently|therefore|also)\s+){0,2}"
_OTHERS = (
    r"(?!previous|earlier|first|old|original|former|prior|initial|last|companion|second|other)"
)

_OF_ITSELF = re.compile(
    rf"""(?:^|[.;:!?]\s+|\bnote:\s*)\W*(?:
        (?:this|the|our|the\s+present|present)\s+(?:{_OTHERS}[\w-]+\s+){{0,2}}{_PAPER}
            (?:\s*\([^()]*\)|,[^,]{{1,60}},)?\s+
            {_ADVERBS}(?:is|was|has\s+{_ADVERBS}been|have\s+been|had\s+been|is\s+being|will\s+be)
            \s+{_ADVERBS}{_GONE}\b{_NOT_FROM_A_JOURNAL}
      | (?:this|it)\s+(?:is|was|has\s+been)\s+{_ADVERBS}{_GONE}\b{_NOT_FROM_A_JOURNAL}
      | (?:the\s+|this\s+)?(?:\w+\s+)?(?:authors?|we|i)\s+
            (?:(?:has|have|had|wish(?:es)?\s+to|would\s+like\s+to)\s+)?{_ADVERBS}(?:withdraws?|withdrew|withdrawn|retract(?:s|ed)?)\s+
            (?:this|the|our|their|his|her)\s+(?:{_OTHERS}[\w-]+\s+){{0,2}}{_PAPER}\b
            (?!\s+from\s+(?!(?:the\s+)?arxiv))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_CLAUSE = re.compile(
    rf"""^\W*(?:(?:this|the)\s+)?(?:{_PAPER}\s+(?:(?:is|was|has\s+been)\s+)?)?{_ADVERBS}
        (?:{_GONE}|withdrawal)\b(?!\s+(?:{_PAPER}|of\b)){_NOT_FROM_A_JOURNAL}""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_NOTICE = 1_000
"""Characters of a text that is read for it."""


def is_withdrawn(comments: str, abstract: str) -> bool:
    """Whether comments or abstract say that the paper itself was withdrawn.

    >>> is_withdrawn("12 pages; withdrawn owing to an error", "")
    True
    >>> is_withdrawn("Withdrawn from ApJ and resubmitted to MNRAS", "")
    False
    """
    comments, abstract = comments[:_LONGEST_NOTICE], abstract[:_LONGEST_NOTICE]
    return (
        _speaks_of_it(comments)
        and (
            _OF_ITSELF.search(comments) is not None
            or any(_CLAUSE.match(clause) for clause in re.split(r"[.;:,(]\s*", comments))
        )
    ) or (
        _speaks_of_it(abstract)
        and (_OF_ITSELF.search(abstract) is not None or _CLAUSE.match(abstract) is not None)
    )


def _speaks_of_it(text: str) -> bool:
    folded = text.lower()
    return "withdr" in folded or "retract" in folded
