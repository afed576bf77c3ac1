"""What a query requires of each hit: phrases and filters, joined by AND, OR and NOT."""

from dataclasses import dataclass

from astrosearch.corpus.filters import Filters


@dataclass(frozen=True, slots=True)
class RequiredPhrase:
    """Words that a paper must have side by side."""

    words: str
    fields: tuple[str, ...] = ("title", "abstract")
    """Any one of these has to hold them."""

    def __str__(self) -> str:
        where = (
            "" if len(self.fields) > 1 else {"title": "title:", "abstract": "abs:"}[self.fields[0]]
        )
        return f'{where}"{self.words}"'


@dataclass(frozen=True, slots=True)
class Excluded:
    """A condition that a paper must not meet."""

    condition: "Condition"

    def __str__(self) -> str:
        return f"not {_in_brackets(self.condition)}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions of which a paper must meet each."""

    conditions: "tuple[Condition, ...]"

    def __str__(self) -> str:
        return " and ".join(map(_in_brackets, self.conditions))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions of which a paper must meet at least one."""

    conditions: "tuple[Condition, ...]"

    def __str__(self) -> str:
        return " or ".join(map(_in_brackets, self.conditions))


@dataclass(frozen=True, slots=True)
class BearsName:
    """Names of which a paper must have one among its authors: all its words, in any author."""

    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Among:
    """Papers of a list of the caller's, such as a library. Identifiers that the index does not have
    mean nothing."""

    within: frozenset[str] | None = None
    """Normalised arXiv identifiers of the papers that may be found; None for all papers."""
    beyond: frozenset[str] = frozenset()
    """Identifiers of papers that may not."""
    name: str = ""
    """What the papers are, for messages: `in tag:jets`."""

    def __str__(self) -> str:
        return self.name


ALL = Among()

Condition = RequiredPhrase | Filters | BearsName | Among | Excluded | AllOf | AnyOf


def described(condition: Condition) -> str:
    """A condition in words: `author Riess, since 2010-01-01`, `"dust" or not title:"gas"`."""
    if isinstance(condition, Filters):
        return ", ".join(
            f"{name} {value}"
            for name in ("author", "category", "since", "until")
            if (value := getattr(condition, name)) is not None
        )
    return str(condition)


def _in_brackets(condition: Condition) -> str:
    text = described(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text
