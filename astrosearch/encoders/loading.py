"""Encoders, each in a module of its own that is imported when it is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.encoders.head import EncoderHead
from astrosearch.encoders.weights import locate
from astrosearch.errors import EncoderMismatch, InputError
from astrosearch.report import SILENT, Reporter


def load_encoder(spec: EncoderSpec, reporter: Reporter = SILENT, **options: Any) -> Encoder:
    """The encoder of a spec, for a corpus.

    Args:
        reporter: asked before a service's encoder spends money.
        options: `device`, `dtype` and `batch_tokens` of `TransformerEncoder`; None for its default.

    Raises:
        ModelMissing: if the weights are not here and cannot be fetched.
        EncoderMismatch: if the weights found are not those the spec names.
        InputError: if the encoder has no use for an option, or for the spec's quantization.
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
    """The same encoder for a few short texts: without torch, whose import takes seconds, if the
    model is a plain LLaMA. For a service nobody is asked to agree, but told where the question
    goes: a query of a few dozen words costs less than a thousandth of a cent."""
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
    """The encoder of a spec whose vectors are kept in the user's cache. A service's are anyhow,
    and without layers they take no longer to make than to look up.

    Raises:
        ModelMissing: if the weights are not here and cannot be fetched.
    """
    if spec.is_service or spec.is_static:
        return load_encoder(spec, reporter)
    from astrosearch.encoders.cached import CachedEncoder

    known = locate.with_revision(spec, reporter)
    return CachedEncoder(known, lambda: load_encoder(known, reporter))


def _check_options(spec: EncoderSpec, options: Mapping[str, Any]) -> None:
    """
    Raises:
        InputError: if the encoder has no use for an option, or for the spec's quantization.
    """
    locate.check(spec)
    given = {name: value for name, value in options.items() if value is not None}
    if spec.is_service and given:
        names = ", ".join(name.replace("_", " ") for name in given)
        raise InputError(f"{spec.model} does not run on this machine: it takes no {names}")
    if spec.is_static:
        for name, usual in (("device", "cpu"), ("dtype", "float32"), ("batch_tokens", None)):
            if given.get(name, usual) != usual:
                raise InputError(
                    f"{spec.short_name} runs no layer: it is computed on the CPU in float32, and "
                    f"{name.replace('_', ' ')} {given[name]} has no effect"
                )


def _numpy_is_enough(folder: Path, adapter: Path | None) -> bool:
    from astrosearch.encoders import llama_numpy, mapped, token_table

    model = (folder / token_table.FILE).exists() or llama_numpy.can_read(folder)
    return model and (adapter is None or mapped.can_read_lora(adapter))


def _service_encoder(spec: EncoderSpec, reporter: Reporter, *, ask: bool = True) -> Encoder:
    from astrosearch.encoders.openai import OpenAIEncoder

    return OpenAIEncoder(locate.with_revision(spec, reporter), reporter, ask=ask)


def _resolve(spec: EncoderSpec, reporter: Reporter) -> tuple[EncoderSpec, Path, Path | None]:
    known, folder, adapter = locate.resolve(spec, reporter)
    if spec.revision not in ("", known.revision):
        raise EncoderMismatch(
            f"the index was built with {spec.model} of revision {spec.revision}, this machine has "
            f"{known.revision}",
            remedy="build-again",
        )
    return known, folder, adapter
