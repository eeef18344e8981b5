"""The truth log, the access log and the exchange log of a run."""
