"""The command line: a module per command, which imports what it needs when it is called."""
