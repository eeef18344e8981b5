"""One file per probe kind: a target and a deadline in, an observation out."""
