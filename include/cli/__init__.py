"""The command line: `python -m include.cli`, one file per command."""
