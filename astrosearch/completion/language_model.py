"""The one loader of a causal language model: base, adapter, quantisation, device, precision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from astrosearch.encoders.adapters import attach, check_base
from astrosearch.encoders.devices import fast_dtype, pick_device
from astrosearch.encoders.hugging_face import load_model, read_object
from astrosearch.encoders.tokenizer import load_tokenizer, special_id
from astrosearch.encoders.weights.locate import locate, locate_adapter
from astrosearch.errors import InputError, SetupError
from astrosearch.report import Reporter

Quantize = Literal["4bit", "8bit", "none"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model's tokenizer with the ids that begin, end and fill a text."""

    tokenizer: Tokenizer
    bos: int
    eos: int
    pad: int
    """The model's own padding token, or EOS if it has none. Padding never counts."""
    has_pad: bool
    chat_template: str | None = None
    """How the model was taught to read a conversation, in Jinja; None if it was not."""

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, without any special token."""
        encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encoded]


def load_vocabulary(folder: Path, name: str) -> Vocabulary:
    """
    Raises:
        InputError: if the model has no tokenizer, or its tokenizer lacks a BOS or EOS token.
    """
    tokenizer = load_tokenizer(folder)
    bos, eos, pad = (special_id(folder, tokenizer, role) for role in ("bos", "eos", "pad"))
    if bos is None or eos is None:
        missing = "BOS" if bos is None else "EOS"
        raise InputError(
            f"{name} does not name its {missing} token in config.json or tokenizer_config.json, "
            "and every abstract begins and ends with one; add it there or take another base"
        )
    return Vocabulary(
        tokenizer, bos, eos, eos if pad is None else pad, pad is not None, _chat_template(folder)
    )


def _chat_template(folder: Path) -> str | None:
    """A file of its own, or in older folders a text of the tokenizer's settings."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8", errors="replace")
    settings = folder / "tokenizer_config.json"
    template = read_object(settings).get("chat_template") if settings.exists() else None
    return template if isinstance(template, str) else None


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model ready to run, with or without an adapter attached."""

    name: str
    revision: str
    """Fingerprint of the base's weights."""
    model: Any
    """`LlamaForCausalLM` or its like; a `PeftModel` around it if there is an adapter."""
    vocabulary: Vocabulary
    device: torch.device
    dtype: torch.dtype


def load_language_model(
    name: str,
    reporter: Reporter,
    *,
    adapter: str | None = None,
    quantize: Quantize = "none",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """A base by name, hub id, folder or GGUF file, in evaluation mode.

    Args:
        adapter: a PEFT adapter to attach: a shipped one's name, a folder or a hub id.
        quantize: load the base's weights in 4 bits (NF4, as QLoRA, arXiv:2305.14314) or in 8.
        device: `cuda`, `mps` or `cpu`; by default the best there is.
        dtype: of the weights and products; by default what the device is fast with.

    Raises:
        ModelMissing: if the weights are not here and cannot be fetched.
        InputError: if they cannot be loaded, or the adapter was made for another base.
    """
    folder, revision = locate(name, reporter)
    vocabulary = load_vocabulary(folder, name)
    place = device if isinstance(device, torch.device) else pick_device(device)
    precision = dtype or fast_dtype(place)
    options: dict[str, Any] = {}
    if quantize != "none":
        options["quantization_config"] = _quantization(quantize, precision)
        options["device_map"] = {"": place}
    model = load_model(AutoModelForCausalLM, folder, dtype=precision, **options)
    if quantize == "none":
        model = model.to(place)
    if adapter is not None:
        model = attach_adapter(model, name, revision, adapter, reporter)
    return LanguageModel(name, revision, model.eval(), vocabulary, place, precision)


def attach_adapter(model: Any, base: str, revision: str, adapter: str, reporter: Reporter) -> Any:
    """A base model with an adapter around it, frozen.

    Raises:
        InputError: if the adapter was made for another base, or does not fit this one.
    """
    folder, _ = locate_adapter(adapter, reporter)
    check_base(folder, adapter, base, revision)
    return attach(model, folder, base)


def _quantization(quantize: Quantize, compute: torch.dtype) -> BitsAndBytesConfig:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise SetupError(
            f"weights in {quantize[0]} bits need bitsandbytes, which cannot be imported ({error})"
        ) from None
    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
