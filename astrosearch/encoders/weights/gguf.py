"""Weights in a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), converted:
the whole model by transformers, or its token table in numpy, in seconds."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from astrosearch.encoders import token_table
from astrosearch.errors import AstrosearchError

_CONTROL = 3
"""The type of a token that stands for no text, as the one that begins it."""


def convert(file: Path, work: Path) -> None:
    """Write a GGUF's weights (float32) and tokenizer in transformers' own format."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from astrosearch.encoders.hugging_face import quiet_transformers

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32
        )
        # save_pretrained refuses a model that was read from GGUF; a fresh one takes its weights.
        config = model.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        with torch.device("meta"):
            fresh = type(model)(config)
        fresh.load_state_dict(model.state_dict(), assign=True)
        with _written(work):
            fresh.save_pretrained(work)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(work)


def convert_tokens(file: Path, work: Path) -> None:
    """Write a LLaMA's token table (`token_table.py`) and tokenizer, the same numbers and token ids
    that `convert` gives, without torch.

    The tokenizer must be a byte-level BPE of the GPT-2 kind.
    """
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    reader = GGUFReader(file)

    def value(name: str) -> Any:
        return reader.fields[name].contents()

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    embeddings = _embeddings(tensors["token_embd.weight"])
    norm = np.array(tensors["output_norm.weight"].data, dtype=np.float32)
    with _written(work):
        save_file({**embeddings, "norm": norm}, work / token_table.FILE)
    vocabulary, width = embeddings["embed_tokens"].shape
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "vocab_size": vocabulary,
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "bos_token_id": value("tokenizer.ggml.bos_token_id"),
    }
    (work / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    names = ("tokens", "merges", "token_type")
    tokenizer = _byte_level_bpe(*(value(f"tokenizer.ggml.{name}") for name in names))
    (work / "tokenizer.json").write_text(tokenizer.to_str(pretty=True))


@contextmanager
def _written(work: Path) -> Iterator[None]:
    """A full disk as one line: safetensors has an error of its own, whatever the system said.

    Raises:
        AstrosearchError: if the block cannot write.
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise AstrosearchError(f"cannot write weights in {work.parent} ({error})") from error


def _embeddings(tensor: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a token table, which keeps 8 bits as they are."""
    from gguf import GGMLQuantizationType, dequantize

    if tensor.tensor_type != GGMLQuantizationType.Q8_0:
        return {"embed_tokens": dequantize(tensor.data, tensor.tensor_type).astype(np.float32)}
    # A block is a float16 scale and 32 numbers of 8 bits.
    rows = np.asarray(tensor.data)
    blocks = rows.reshape(len(rows), -1, 2 + token_table.BLOCK)
    numbers = np.ascontiguousarray(blocks[:, :, 2:]).view(np.int8)
    scales = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16)
    return {
        "embed_tokens": numbers.reshape(len(rows), -1),
        "scales": scales.reshape(len(rows), -1),
    }


def _byte_level_bpe(
    tokens: Sequence[str], merges: Iterable[str], types: Sequence[int]
) -> Tokenizer:
    """The tokenizer that transformers makes of the same metadata.

    Like it, and unlike llama.cpp, it cuts texts as GPT-2 does, whatever the file's
    `tokenizer.ggml.pre` says: the encoders were trained on texts that were cut so.
    """
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, normalized=False, special=True)
            for token, kind in zip(tokens, types, strict=True)
            if kind == _CONTROL
        ]
    )
    return tokenizer
