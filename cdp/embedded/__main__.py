"""`python -m cdp.embedded up | stop | guard`."""

import argparse
import sys
from pathlib import Path

from cdp.embedded.errors import EmbeddedError
from cdp.embedded.guard import guard
from cdp.embedded.layout import data_dir
from cdp.embedded.servers import stop_servers
from cdp.embedded.supervisor import run_product


def main(arguments: list[str]) -> int:
    """Run one of the three commands; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m cdp.embedded")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="run the whole product in the foreground")
    commands.add_parser("stop", help="stop the embedded servers of this data directory, whoever uses them")
    guarding = commands.add_parser("guard", help="run the servers until nobody uses them (started by the others)")
    guarding.add_argument("data_dir", type=Path)
    guarding.add_argument("--profile", choices=("product", "tests"), default="product")
    options = parser.parse_args(arguments)
    try:
        if options.command == "guard":
            return guard(options.data_dir, profile=options.profile)
        if options.command == "stop":
            stop_servers(data_dir())
            return 0
        return run_product()
    except EmbeddedError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
