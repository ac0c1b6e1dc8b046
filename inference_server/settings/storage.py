"""The settings of the storage initializer, which brings models and code to this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.places import user_cache
from inference_server.settings.read import size, text, whole

MIB, GIB = 1024**2, 1024**3


@dataclass(frozen=True)
class StorageSettings:
    """How models and code are fetched, and what is kept of them for the next time."""

    cache_dir: str = setting(
        "",
        text,
        "Folder of the files that deployments share; what is in it is not fetched again. Best on the file system of "
        "the models, where a file takes its space once.",
        env=("AZMLINFSRV_STORAGE_CACHE_DIR",),
        default_text="`azmlinfsrv/storage` in the user's cache folder",
    )
    cache_size: int = setting(
        50 * GIB,
        size,
        "Most that the cache keeps; what was not used for longest goes first. 0: no cache.",
        unit="bytes",
        env=("AZMLINFSRV_STORAGE_CACHE_SIZE",),
        default_text="50 GiB",
    )
    connections: int = setting(
        8,
        whole(1, 256),
        "Requests to a source at a time, for parts of one file or for several files.",
        env=("AZMLINFSRV_STORAGE_CONNECTIONS",),
    )
    part_size: int = setting(
        8 * MIB,
        size,
        "A download that was cut goes on with the parts it lacks, each of so many bytes; a request asks for one to four.",
        unit="bytes",
        env=("AZMLINFSRV_STORAGE_PART_SIZE",),
        default_text="8 MiB",
    )
    retries: int = setting(
        6,
        whole(),
        "How often in a row a request that breaks off, stalls or is refused for now is made again, waiting longer "
        "each time, or as long as the source asks for.",
        env=("AZMLINFSRV_STORAGE_RETRIES",),
    )
    stall_timeout: float = setting(
        30.0,
        read.number,
        "How long a source may send nothing before the request counts as broken off.",
        unit="seconds",
        env=("AZMLINFSRV_STORAGE_STALL_TIMEOUT",),
    )
    datastores: str = setting(
        "",
        text,
        "What the names in `azureml://datastores/…` stand for: JSON, or the path of a JSON file.",
        env=("AZMLINFSRV_DATASTORES",),
    )
    max_unpacked_size: int = setting(
        200 * GIB,
        size,
        "An archive that unpacks to more is refused.",
        unit="bytes",
        env=("AZMLINFSRV_STORAGE_MAX_UNPACKED_SIZE",),
        default_text="200 GiB",
    )
    max_unpack_ratio: float = setting(
        200.0,
        read.number,
        "An archive that unpacks to more than 64 MiB and to this many times its own size is refused.",
        env=("AZMLINFSRV_STORAGE_MAX_UNPACK_RATIO",),
    )


def cache_folder(settings: StorageSettings, environ: Mapping[str, str]) -> str:
    """The folder of the cache: the one that is set, or the platform's own place; absolute."""
    if settings.cache_dir:
        return os.path.abspath(os.path.expanduser(settings.cache_dir))
    return user_cache("storage", environ)
