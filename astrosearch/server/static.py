"""The files of the page, by their addresses."""

from importlib import resources

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}

FILES = {
    f"/{'' if file.name == 'index.html' else file.name}": file
    for file in resources.files("astrosearch.server").joinpath("page").iterdir()
    if file.name.rpartition(".")[2] in MEDIA_TYPES
}
"""Nothing of an index is in them."""
