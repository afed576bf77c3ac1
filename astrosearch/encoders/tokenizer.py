"""Text to token ids, the same for every encoder of a model."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer

from astrosearch.encoders.base import Normalization, Pooling
from astrosearch.encoders.hugging_face import read_object
from astrosearch.errors import InputError
from astrosearch.text.analysis import normalize

CACHED_WORDS = 1 << 17
"""Words whose tokens are remembered at a time: nearly all of a corpus's have been met before."""

_PROBE = " of the ngc 1068 3.5kpc größe źródło 銀河 x"


class Tokens:
    """A model's tokenizer as the encoders use it, from any number of threads.

    With the paper's pooling a text is [BOS] and its tokens, whatever the tokenizer would add by
    itself; otherwise it is what the tokenizer's own template says ([CLS] … [SEP]).
    """

    def __init__(
        self,
        folder: Path,
        pooling: Pooling,
        max_tokens: int,
        normalization: Normalization = "none",
    ) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._template = pooling == "mean"
        self._max_tokens = max_tokens
        self._normalize = normalization == "plain"
        self._by_word = self._normalize and not self._template and _cuts_at_spaces(self._tokenizer)
        self._words: dict[str, list[int]] = {}
        self._bos = None if self._template else bos_id(folder, self._tokenizer)
        if self._template:
            self._tokenizer.enable_truncation(max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, at most `max_tokens`; never empty."""
        # A text without words, as a lone emoji, is read as it is.
        read = [normalize(text) or text for text in texts] if self._normalize else list(texts)
        if self._by_word and all(text.startswith(" ") for text in read):
            ids = self._ids_by_word(read)
        else:
            encodings = self._tokenizer.encode_batch_fast(read, add_special_tokens=self._template)
            ids = [encoding.ids for encoding in encodings]
        if self._bos is None:
            return ids
        return [[self._bos, *text_ids[: self._max_tokens - 1]] for text_ids in ids]

    def _ids_by_word(self, texts: Sequence[str]) -> list[list[int]]:
        """The same as the tokenizer gives, in a fraction of the time: most words are in the cache.

        Args:
            texts: with a space before each word.
        """
        cut = [text[1:].split(" ") for text in texts]
        distinct = set(chain.from_iterable(cut))
        # A full cache is replaced, not emptied: another thread may still be reading it.
        cache = self._words
        if len(cache) + len(distinct) > CACHED_WORDS:
            cache = self._words = {}
        if new := [word for word in distinct if word not in cache]:
            encodings = self._tokenizer.encode_batch_fast(
                [f" {word}" for word in new], add_special_tokens=False
            )
            cache.update(zip(new, (encoding.ids for encoding in encodings), strict=True))
        return [list(chain.from_iterable([cache[word] for word in words])) for words in cut]


def _cuts_at_spaces(tokenizer: Tokenizer) -> bool:
    """Whether a token never reaches from one word into the next."""
    if tokenizer.normalizer is not None or tokenizer.pre_tokenizer is None:
        return False
    pieces = tokenizer.pre_tokenizer.pre_tokenize_str(_PROBE)
    return not any(" " in _PROBE[start + 1 : end] for _, (start, end) in pieces)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model's folder, set to pad and cut nothing.

    Raises:
        InputError: if there is none that can be read.
    """
    file = folder / "tokenizer.json"
    try:
        if file.exists():
            tokenizer = Tokenizer.from_file(str(file))
        else:
            from transformers import AutoTokenizer

            # Converts what SentencePiece left.
            tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    except Exception as error:  # the tokenizers library raises nothing more precise
        what = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{folder} has no tokenizer that can be read: {what}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def special_id(folder: Path, tokenizer: Tokenizer, name: str) -> int | None:
    """The id of the token that a model's folder names as `bos`, `eos`, `cls` or `pad`."""
    token_id = read_object(folder / "config.json").get(f"{name}_token_id")
    if isinstance(token_id, list) and token_id:  # some models end in several ways, first plainly
        token_id = token_id[0]
    if isinstance(token_id, int):
        return token_id
    file = folder / "tokenizer_config.json"
    token = read_object(file).get(f"{name}_token") if file.exists() else None
    content = token.get("content") if isinstance(token, dict) else token
    token_id = tokenizer.token_to_id(content) if content and isinstance(content, str) else None
    return None if token_id is None else int(token_id)


def bos_id(folder: Path, tokenizer: Tokenizer) -> int:
    """The id that begins a text: of the BOS token, else CLS, else EOS.

    Raises:
        InputError: if the model names none of them.
    """
    for name in ("bos", "cls", "eos"):
        if (token_id := special_id(folder, tokenizer, name)) is not None:
            return token_id
    raise InputError(
        f"{folder} names no token that begins a text, which only pooling mean can do without"
    )
