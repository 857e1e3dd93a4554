"""The command line of every recipe: one file a command."""
