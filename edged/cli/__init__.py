"""The `edged` command: one file a subcommand, each imported only when it is asked for."""
