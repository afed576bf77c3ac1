"""From the spec of a generator to the generator."""

from astrosearch.completion.generators.base import DEFAULT_GENERATOR, Generator, GeneratorSpec
from astrosearch.encoders.base import OPENAI
from astrosearch.encoders.registry import DEFAULT
from astrosearch.errors import InputError
from astrosearch.report import Reporter


def load_generator(spec: GeneratorSpec, reporter: Reporter) -> Generator:
    """
    Raises:
        InputError: if a service is asked for what only a model on this machine can do.
        ModelMissing: if the weights are not on this machine and cannot be fetched.
        SetupError: if a service's key is missing.
    """
    if spec.is_service:
        if spec != GeneratorSpec(spec.model):
            raise InputError(
                f"{spec.model} runs at its service, which chooses adapter, precision and device"
            )
        from astrosearch.completion.generators.openai import OpenAIGenerator

        return OpenAIGenerator(spec.model.removeprefix(OPENAI), reporter)
    from astrosearch.completion.generators.local import LocalGenerator

    model, adapter = spec.model, spec.adapter
    if model == DEFAULT_GENERATOR and adapter is None:
        model, adapter = DEFAULT, DEFAULT_GENERATOR
    return LocalGenerator.load(
        model,
        reporter,
        adapter=adapter,
        quantize=spec.quantize,
        device=spec.device,
        dtype=spec.dtype,
    )
