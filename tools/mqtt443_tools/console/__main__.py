"""`python -m mqtt443_tools.console`: the console of `mqtt443 local`, which starts it in a separate process."""

import argparse
from pathlib import Path

from mqtt443_tools.console.run import run_local


def main() -> None:
    """Serve the console of a state folder until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    run_local(parser.parse_args().state, port=0, until_stdin_ends=True)


if __name__ == "__main__":
    main()
