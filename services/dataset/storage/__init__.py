"""The storage of a dataset: folders of this host and object stores."""

from services.dataset.storage.storage import LocalStorage, Storage, open_storage

__all__ = ["LocalStorage", "Storage", "open_storage"]
