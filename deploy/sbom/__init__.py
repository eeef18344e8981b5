"""Lists the Python packages that the image holds, as CycloneDX."""
