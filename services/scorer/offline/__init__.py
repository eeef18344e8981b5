"""The index from files, by the code that scores live."""
