"""Loading the encoder of a spec. Each is in a module of its own, imported when it is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.encoders.head import EncoderHead
from astrosearch.encoders.weights import locate
from astrosearch.errors import EncoderMismatch, InputError
from astrosearch.report import SILENT, Reporter


def load_encoder(spec: EncoderSpec, reporter: Reporter = SILENT, **options: Any) -> Encoder:
    """The encoder of a spec, for many texts.

    Args:
        reporter: gets progress and notices, and approves the cost of a service.
        options: `device`, `dtype` and `batch_tokens` of `TransformerEncoder`; None for a default.

    Raises:
        ModelMissing: if the weights are not on this machine and cannot be fetched.
        EncoderMismatch: if the weights are of another revision than the spec's.
        InputError: if the encoder does not take an option, or the spec's quantization.
    """
    _check_options(spec, options)
    if spec.is_service:
        return _service_encoder(spec, reporter)
    if spec.is_static:
        return load_query_encoder(spec, reporter)
    from astrosearch.encoders.transformer import TransformerEncoder

    known, folder, adapter = _resolve(spec, reporter)
    head = EncoderHead.load(known, folder, adapter)
    return TransformerEncoder(known, folder, adapter=adapter, head=head, **options)


def load_query_encoder(spec: EncoderSpec, reporter: Reporter = SILENT) -> Encoder:
    """The encoder of a spec, for a few short texts.

    A plain LLaMA runs without torch, whose import takes seconds. A service is used without
    approval, but the user is told where the query goes: a few dozen words cost less than a
    thousandth of a cent.

    Raises:
        ModelMissing: if the weights are not on this machine and cannot be fetched.
        EncoderMismatch: if the weights are of another revision than the spec's.
    """
    if spec.is_service:
        return _service_encoder(spec, reporter, ask=False)
    known, folder, adapter = _resolve(spec, reporter)
    head = EncoderHead.load(known, folder, adapter)
    if (spec.quantize is None or spec.is_static) and _numpy_is_enough(folder, adapter):
        if spec.needs_only_tokens:
            from astrosearch.encoders.static import StaticEncoder

            return StaticEncoder(known, folder, adapter=adapter, head=head)
        from astrosearch.encoders.llama_numpy import LlamaEncoder

        return LlamaEncoder(known, folder, adapter=adapter, head=head)
    from astrosearch.encoders.transformer import TransformerEncoder

    return TransformerEncoder(known, folder, adapter=adapter, head=head)


def load_cached_encoder(spec: EncoderSpec, reporter: Reporter = SILENT) -> Encoder:
    """The encoder of a spec, with a cache of vectors in the user's cache folder.

    A service's encoder has a cache of its own. One without layers needs none: it encodes a text as
    quickly as a cache finds it.

    Raises:
        ModelMissing: if the weights are not on this machine and cannot be fetched.
    """
    if spec.is_service or spec.is_static:
        return load_encoder(spec, reporter)
    from astrosearch.encoders.cached import CachedEncoder

    known = locate.with_revision(spec, reporter)
    return CachedEncoder(known, lambda: load_encoder(known, reporter))


def _check_options(spec: EncoderSpec, options: Mapping[str, Any]) -> None:
    """
    Raises:
        InputError: if the encoder does not take an option, or the spec's quantization.
    """
    locate.check(spec)
    options = {name: value for name, value in options.items() if value is not None}
    if spec.is_service and options:
        names = ", ".join(name.replace("_", " ") for name in options)
        raise InputError(f"{spec.model} does not run on this machine: it takes no {names}")
    if spec.is_static:
        for name, fixed in (("device", "cpu"), ("dtype", "float32"), ("batch_tokens", None)):
            if options.get(name, fixed) != fixed:
                raise InputError(
                    f"{spec.short_name} runs no layer: it is computed on the CPU in float32, and "
                    f"{name.replace('_', ' ')} {options[name]} has no effect"
                )


def _numpy_is_enough(folder: Path, adapter: Path | None) -> bool:
    """Whether model and adapter can run without torch."""
    from astrosearch.encoders import llama_numpy, mapped, token_table

    model = (folder / token_table.FILE).exists() or llama_numpy.can_read(folder)
    return model and (adapter is None or mapped.can_read_lora(adapter))


def _service_encoder(spec: EncoderSpec, reporter: Reporter, *, ask: bool = True) -> Encoder:
    from astrosearch.encoders.openai import OpenAIEncoder

    return OpenAIEncoder(locate.with_revision(spec, reporter), reporter, ask=ask)


def _resolve(spec: EncoderSpec, reporter: Reporter) -> tuple[EncoderSpec, Path, Path | None]:
    """The spec with its revision, and the folders of the weights and of the adapter."""
    known, folder, adapter = locate.resolve(spec, reporter)
    if spec.revision not in ("", known.revision):
        raise EncoderMismatch(
            f"the index was built with revision {spec.revision} of {spec.model}, this machine has "
            f"{known.revision}",
            remedy="build-again",
        )
    return known, folder, adapter
