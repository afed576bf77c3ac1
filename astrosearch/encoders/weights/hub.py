"""Weights from the Hugging Face hub (https://huggingface.co), in its own cache."""

from contextlib import suppress
from pathlib import Path

import httpx2

from astrosearch.encoders.hugging_face import read_object, refuse_pickles
from astrosearch.encoders.weights.fingerprint import DIGITS
from astrosearch.errors import ModelMissing, SetupError
from astrosearch.report import Reporter


def hub_model(name: str, reporter: Reporter, facts: str = "") -> tuple[Path, str]:
    """The folder of a hub's model or adapter in the hub's own cache, and its commit.

    Args:
        facts: what is known of a download beforehand, as its size.

    Raises:
        ModelMissing: if it is not here and cannot be had from here.
        InputError: if its weights are here as a pickle only.
        SetupError: if the environment has settings that huggingface_hub cannot use.
    """
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ValueError as error:  # it reads them when it is imported
        raise SetupError(f"a variable HF_… of this environment cannot be used: {error}") from None

    descriptions = ["*.json", "tokenizer*", "*.model", "*.txt"]
    elsewhere = f"where there is network, run: hf download {name}"
    folder = None
    with suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(name, allow_patterns=descriptions, local_files_only=True))
    if folder is not None and _is_whole(folder):
        return folder, folder.name[:DIGITS]
    if constants.HF_HUB_OFFLINE:
        if folder is not None:
            refuse_pickles(folder, "*model")
        raise ModelMissing(f"{name} is not on this machine and HF_HUB_OFFLINE is set; {elsewhere}")
    where = constants.ENDPOINT.rpartition("//")[2].split("/")[0]
    if not reporter.may_contact(f"{name} at {where}", f"a request for the model {name} to {where}"):
        raise ModelMissing(f"{name} is not on this machine, and {where} was not asked for it")
    line = f"Fetching {name} from the Hugging Face hub"
    reporter.notify(f"{line}: {facts}" if facts else line)
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*descriptions, "*.safetensors"]))
        if _is_whole(folder):
            return folder, folder.name[:DIGITS]
    except GatedRepoError:
        raise ModelMissing(
            f"{name} is gated: accept its licence at https://huggingface.co/{name}, then run: "
            "hf auth login"
        ) from None
    except RepositoryNotFoundError:
        raise ModelMissing(
            f"the hub has no model {name}, or it is private: check the name, or run: hf auth login"
        ) from None
    except (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        OSError,
        ValueError,  # of a proxy, or a token beyond ASCII
        ImportError,  # for a kind of proxy
    ) as error:
        raise ModelMissing(
            f"{name} is not on this machine and the hub could not be reached "
            f"({type(error).__name__}); {elsewhere}"
        ) from None
    raise ModelMissing(
        f"{name} has no weights as .safetensors, and nothing else is read: a pickle (.bin) can "
        "run any code; ask its authors for them, or take another model"
    )


def _is_whole(folder: Path) -> bool:
    """Whether all weights that a hub model's index files name are in its folder."""
    for index in folder.glob("*.index.json"):
        if not index.name.endswith(".safetensors.index.json"):
            continue
        weight_map = read_object(index).get("weight_map")
        if isinstance(weight_map, dict):
            files = {str(file) for file in weight_map.values()}
            if all((folder / file).exists() for file in files):
                return True
    return any((folder / f"{name}.safetensors").exists() for name in ("model", "adapter_model"))


def is_here(name: str) -> bool:
    """Whether the hub's cache has the model, as far as its configuration tells."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)
