"""The command `simprune`, also as `python -m simprune`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being loaded ends with its status, 130, too."""
    try:
        from simprune.cli import main as command
    except KeyboardInterrupt:
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
