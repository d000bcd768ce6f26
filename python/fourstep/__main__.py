"""The command ``fourstep``, and ``python -m fourstep``: it loads the rest, so that Ctrl-C is one line meanwhile too."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command with the process's own words; return its exit code."""
    try:
        from fourstep import cli

        return cli.main()
    except KeyboardInterrupt:  # while that was loaded
        print("fourstep: interrupted", file=sys.stderr, flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
