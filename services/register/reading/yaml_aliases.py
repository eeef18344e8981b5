"""Composes YAML in which aliases repeat a bounded number of values."""

from __future__ import annotations

from typing import Any, Final

import yaml

# An alias is read as if its values were written again, so ten nested lists of ten aliases would be read as 10**10
# values. Hand-written files repeat a few hundred values.
_REPEATED: Final = 10_000


class AliasError(yaml.MarkedYAMLError):
    """An alias within the value that it repeats, or one that repeats too much. ``problem_mark`` is its location."""


def compose(text: str) -> yaml.Node | None:
    """Return the document in a text, None for an empty one. Raises AliasError and what PyYAML raises."""
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError):
        mark = loader.get_mark()
        raise yaml.MarkedYAMLError(None, None, "an escape that stands for no character", mark) from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._repeated = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """Compose a node, and count it and the nodes below it."""
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark if is_alias else None  # type: ignore[no-untyped-call]  # the library leaves it out
        before = self._values
        node = super().compose_node(parent, index)
        if mark is None:
            self._values += 1
            self._sizes[id(node)] = self._values - before
            return node
        size = self._sizes.get(id(node))
        if size is None:
            raise AliasError(None, None, "an alias stands within what it repeats", mark)
        self._values += size
        self._repeated += size
        if self._repeated > _REPEATED:
            raise AliasError(None, None, f"with this alias more than {_REPEATED} values are repeated", mark)
        return node
