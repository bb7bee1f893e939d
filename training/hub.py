"""Models that are named by a hub id: the only use of the network in training."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit


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
