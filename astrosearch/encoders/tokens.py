"""Text to token ids, the same for every encoder of a model."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from astrosearch.encoder import Pooling
from astrosearch.errors import InputError


class Tokens:
    """A model's tokenizer as the encoders use it.

    With the paper's pooling a text is [BOS] and its tokens, whatever the tokenizer would add by
    itself; otherwise it is what the tokenizer's own template says ([CLS] … [SEP]).
    """

    def __init__(self, folder: Path, pooling: Pooling, max_tokens: int) -> None:
        self._tokenizer = _load(folder)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._template = pooling == "mean"
        self._max_tokens = max_tokens
        self._bos = None if self._template else _bos_id(folder, self._tokenizer)
        if self._template:
            self._tokenizer.enable_truncation(max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, at most `max_tokens`; never empty."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=self._template)
        if self._bos is None:
            return [one.ids for one in encoded]
        return [[self._bos, *one.ids[: self._max_tokens - 1]] for one in encoded]


def _load(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    try:
        if file.exists():
            return Tokenizer.from_file(str(file))
        from transformers import AutoTokenizer

        # Converts what SentencePiece left.
        backend: Tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
        return backend
    except Exception as error:  # the tokenizers library raises nothing more precise
        what = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{folder} has no tokenizer that can be read: {what}") from error


def _bos_id(folder: Path, tokenizer: Tokenizer) -> int:
    """The id that begins a text: of the BOS token, else CLS, else EOS."""
    config = json.loads((folder / "config.json").read_bytes())
    if isinstance(config.get("bos_token_id"), int):
        return int(config["bos_token_id"])
    names = folder / "tokenizer_config.json"
    described = json.loads(names.read_bytes()) if names.exists() else {}
    for name in ("bos_token", "cls_token", "eos_token"):
        token = described.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        if content and (found := tokenizer.token_to_id(content)) is not None:
            return int(found)
    raise InputError(f"{folder} names no BOS token; use --pooling mean")
