"""The list of what the image holds of Python, as CycloneDX."""
