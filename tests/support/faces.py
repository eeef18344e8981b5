"""A contract of import-linter: a sub-package is imported by its face, never behind it."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

__all__ = ["FacesContract"]


class FacesContract(Contract):
    """Every `services.<package>.<sub-package>.<module>` is imported from within its sub-package only.

    ``packages`` are those whose sub-packages have faces.
    """

    type_name = "faces"

    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # the signature of the base class
        """Find imports that reach behind a face."""
        reaching = [
            (importer, module)
            for package in self.packages  # type: ignore[attr-defined]
            for face in graph.find_children(package)
            for module in graph.find_descendants(face)
            for importer in graph.find_modules_that_directly_import(module)
            if importer != face and not importer.startswith(f"{face}.")
        ]
        return ContractCheck(kept=not reaching, metadata={"reaching": sorted(reaching)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each such import."""
        for importer, module in check.metadata["reaching"]:
            output.print_error(f"{importer} imports {module}; import it from {module.rpartition('.')[0]}", bold=False)
            output.new_line()
