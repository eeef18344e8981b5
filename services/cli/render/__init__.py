"""What commands print, a module per subject. There is no face: a command imports the module of what it prints alone."""
