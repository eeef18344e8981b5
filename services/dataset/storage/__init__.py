"""The storage of a dataset: folders of this host and object stores."""

from services.dataset.storage.storage import (
    BadSectorError,
    LocalStorage,
    Storage,
    open_dataset,
    open_storage,
    sole_writer,
)

__all__ = ["BadSectorError", "LocalStorage", "Storage", "open_dataset", "open_storage", "sole_writer"]
