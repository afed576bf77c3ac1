"""Text to token ids, the same for every encoder of a model."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from astrosearch.encoder import Pooling, Spelling
from astrosearch.errors import InputError
from astrosearch.hugging_face import read_object
from astrosearch.spelling import plain


class Tokens:
    """A model's tokenizer as the encoders use it.

    With the paper's pooling a text is [BOS] and its tokens, whatever the tokenizer would add by
    itself; otherwise it is what the tokenizer's own template says ([CLS] … [SEP]).
    """

    def __init__(
        self, folder: Path, pooling: Pooling, max_tokens: int, spelling: Spelling = "kept"
    ) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._template = pooling == "mean"
        self._max_tokens = max_tokens
        self._plain = spelling == "plain"
        self._bos = None if self._template else bos_id(folder, self._tokenizer)
        if self._template:
            self._tokenizer.enable_truncation(max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, at most `max_tokens`; never empty."""
        # What has no words, as a lone emoji, is read as it is.
        read = [plain(text) or text for text in texts] if self._plain else list(texts)
        encoded = self._tokenizer.encode_batch_fast(read, add_special_tokens=self._template)
        if self._bos is None:
            return [one.ids for one in encoded]
        return [[self._bos, *one.ids[: self._max_tokens - 1]] for one in encoded]


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
    config = read_object(folder / "config.json")
    found = config.get(f"{name}_token_id")
    if isinstance(found, list) and found:  # some models end in several ways; the first is plain
        found = found[0]
    if isinstance(found, int):
        return found
    names = folder / "tokenizer_config.json"
    described = read_object(names) if names.exists() else {}
    token = described.get(f"{name}_token")
    content = token.get("content") if isinstance(token, dict) else token
    given = tokenizer.token_to_id(content) if content and isinstance(content, str) else None
    return None if given is None else int(given)


def bos_id(folder: Path, tokenizer: Tokenizer) -> int:
    """The id that begins a text: of the BOS token, else CLS, else EOS.

    Raises:
        InputError: if the model names none of them.
    """
    for name in ("bos", "cls", "eos"):
        if (found := special_id(folder, tokenizer, name)) is not None:
            return found
    raise InputError(f"{folder} names no BOS token; use --pooling mean")
