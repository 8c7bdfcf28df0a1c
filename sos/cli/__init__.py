"""The ``sos`` command and its subcommands."""
