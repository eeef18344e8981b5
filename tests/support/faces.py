"""An import-linter contract: other packages import a sub-package itself, and none of its modules."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

__all__ = ["FacesContract"]


class FacesContract(Contract):
    """Modules `services.<package>.<sub-package>.<module>` are imported only from within their sub-package.

    ``packages`` are the packages whose sub-packages this holds for.
    """

    type_name = "faces"

    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # the signature of the base class
        """Find imports of a sub-package's modules from outside it."""
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
