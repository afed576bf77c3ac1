"""What OpenAI's embedding models cost, and the estimate that whoever pays is shown first.

The service counts in tokens of a vocabulary (cl100k_base) that tiktoken, its tokenizer, downloads
at run time, which a machine behind a wall cannot. So tokens are estimated from bytes of UTF-8.
"""

from dataclasses import dataclass

BYTES_A_TOKEN = 4
"""For the estimate of the costs alone. Abstracts of arXiv's astro-ph have 4.7 bytes a token of
cl100k_base on average and nine in ten more than 4, so it is rather too high than too low."""

DOLLARS_A_MILLION_TOKENS = {
    "text-embedding-ada-002": 0.10,
    "text-embedding-3-small": 0.02,
    "text-embedding-3-large": 0.13,
}
PRICES_OF = "2026-11"
"""When the prices were last looked up: https://developers.openai.com/api/docs/pricing"""


def estimated_tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_A_TOKEN)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a job sends and costs; texts whose vectors are here already are not counted."""

    model: str
    host: str
    """Where the texts go."""
    texts: int
    tokens: int
    """Estimated, rather too high: `BYTES_A_TOKEN`."""
    cut: int
    """Texts that are longer than the service takes."""

    @property
    def service(self) -> str:
        """Who is paid, as it is kept of an agreement."""
        return f"{self.model} at {self.host}"

    @property
    def dollars(self) -> float | None:
        price = DOLLARS_A_MILLION_TOKENS.get(self.model)
        return None if price is None else self.tokens * price / 1e6

    def __str__(self) -> str:
        texts = "1 text" if self.texts == 1 else f"{self.texts:,} texts"
        job = f"{texts}, about {self.tokens:,} tokens, to {self.host} for {self.model}"
        if self.dollars is None:
            return f"{job}: price not known"
        price = DOLLARS_A_MILLION_TOKENS[self.model]
        about = f"about ${self.dollars:,.2f}" if self.dollars >= 0.01 else "less than $0.01"
        return f"{job}: {about} (${price:.2f} a million tokens, OpenAI's price of {PRICES_OF})"
