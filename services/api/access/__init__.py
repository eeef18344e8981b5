"""Who may call what: roles by certificate, rules by method, and TLS of the server."""
