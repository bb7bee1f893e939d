"""Models that are named by a hub id: the only use of the network in training."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from guqin_kg.errors import NotFoundError

_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = ("*.json", "*.safetensors", "*.npz", "README.md")
"""What a model folder of this project holds; nothing else is fetched."""


def folder_of(base: str) -> Path:
    """The model folder that is named: a folder here, or one of the hub, which is fetched (or was kept).

    Raises:
        NotFoundError: a hub id that cannot be had.
    """
    place = Path(base).expanduser()
    if place.exists() or not _ID.fullmatch(base):
        return place
    prepare(base)
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(snapshot_download(base, allow_patterns=[*_FILES], local_files_only=constants.HF_HUB_OFFLINE))
    except (OSError, ValueError) as error:  # the hub's own errors are kinds of these
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NotFoundError(
            f"no folder {base}, and no model of this hub id: {reason[:200]}",
            hint="give a model folder, or the hub id of one, with network",
        ) from None


def prepare(base: str) -> None:
    """Put the hub's client off line when ``base`` is a hub id and its host has no address here.

    The client would ask six times for each of several files and talk about each; off line it takes what it has kept, or
    says at once that it has nothing. With a proxy, which looks up addresses itself, nothing is tried.
    """
    proxies = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    if Path(base).expanduser().exists() or any(os.environ.get(name) for name in proxies):
        return
    from huggingface_hub import constants

    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        constants.HF_HUB_OFFLINE = True
