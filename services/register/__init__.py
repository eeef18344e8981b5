"""The register: a directory read, checked whole, compared, imported into, and published as the version in force."""
