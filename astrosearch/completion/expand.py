"""A chat model writes the abstract that would answer a query, and its vector is searched with, too.

HyDE: Gao et al. 2022 (arXiv:2212.10496). What the model writes is never shown and never matched by
words, because it may be invented. It is kept in the cache: what was paid for is not asked again.
"""

from astrosearch.completion.generators.base import GenerationStats, Sampling
from astrosearch.completion.generators.openai import OpenAIGenerator
from astrosearch.completion.kept_answers import kept_answer
from astrosearch.encoders import openai_service as service
from astrosearch.encoders.base import OPENAI
from astrosearch.errors import AstrosearchError
from astrosearch.report import Reporter

TASK = """You are given what an astronomer looks for. Write the abstract of a paper that would be \
just what is wanted, in five sentences at most, in the words that such a paper would use. Write \
the abstract alone."""

LONGEST = 200
"""Tokens that are asked for."""


class ChatExpander:
    """A chat model of OpenAI's service, or of a server that speaks its language."""

    def __init__(self, model: str, reporter: Reporter) -> None:
        """
        Args:
            model: `openai:NAME`.

        Raises:
            InputError: if it does not name a model.
            SetupError: if there is no key.
        """
        self._generator = OpenAIGenerator(model.removeprefix(OPENAI), reporter)

    def expand(self, query: str) -> str:
        """The abstract of a paper that would answer.

        Raises:
            AstrosearchError: if nobody agrees that the query is sent, the service fails, or it
                writes nothing.
        """
        return kept_answer("expand", self._generator.name, TASK, query, self._ask, _checked)

    def _ask(self, query: str) -> str:
        sampling = Sampling(temperature=0.0, max_new_tokens=LONGEST)
        return "".join(self._generator.chat(TASK, query, sampling, GenerationStats()))


def _checked(answer: str) -> str:
    text = " ".join(answer.split())
    if not any(map(str.isalpha, text)):
        raise AstrosearchError(
            f"{service.host()} wrote nothing; the same query without --expand is answered without "
            "it"
        )
    return text
