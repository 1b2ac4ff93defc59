"""Run faults under load and print the account: `python -m tests.faults [NAME …] [--times N] [--seed N]`."""

import argparse
import sys
import time
import traceback
from contextlib import ExitStack

from tests.faults.accounting import Account
from tests.faults.acts import FAULTS
from tests.faults.campaign import product_for, strike
from tests.faults.disk import NoSmallDisk
from tests.faults.ground import Ground
from tests.journeys.conftest import Product

HEAD = (
    "fault", "times", "when it struck", "sent", "sent again", "accepted", "accounted for", "lost", "doubled",
    "set aside", "longest wait",
)  # fmt: skip


def main() -> int:
    """Run what the command line names; 1 if an account does not come out even."""
    with ExitStack() as stack:
        return _main(stack)


def _main(stack: ExitStack) -> int:
    shared: Product | None = None
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(FAULTS)}; none: all")
    parser.add_argument(
        "--times",
        type=int,
        help="how often each fault happens; default: 20, or 5 where the product waits longer before each new start",
    )
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is left to chance")
    options = parser.parse_args()
    unknown = set(options.names) - set(FAULTS)
    if unknown:
        parser.error(f"There is no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}.")
    lines = ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
    failed = 0
    sys.stderr.write(f"seed {options.seed}\n")
    for name in options.names or FAULTS:
        fault = FAULTS[name]
        times = options.times or fault.times
        began_at = time.monotonic()
        sys.stderr.write(f"{name}, {times} times …\n")
        try:
            if not fault.disk_megabytes:
                shared = shared or stack.enter_context(product_for(fault))
                account, ground = strike(fault, shared, times=times, seed=options.seed)
            else:
                with product_for(fault) as product:
                    account, ground = strike(fault, product, times=times, seed=options.seed)
        except NoSmallDisk as error:
            failed += 1
            sys.stderr.write(f"NOT TRIED: no small disk can be mounted here ({error}).\n")
            continue
        except AssertionError:
            # The other faults are wanted all the same.
            failed += 1
            traceback.print_exc()
            lines.append(f"| {fault.title} | {times} | FAILED, see above |")
            continue
        line = _line(fault.title, times, account, ground)
        even = not (account.lost or account.doubled or account.unsound)
        even = even and account.set_aside == fault.sets_aside * times
        failed += not even
        lines.append(line)
        sys.stderr.write(f"{line}\n{'; '.join(account.unsound)}  {time.monotonic() - began_at:,.0f} s\n")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failed else 0


def _line(title: str, times: int, account: Account, ground: Ground) -> str:
    hits = ", ".join(f"{name} {count}" for name, count in ground.hits.items())
    cells = (
        title, f"{times}", hits, f"{account.sent:,}", f"{account.sent_again:,}", f"{account.accepted:,}",
        f"{account.accounted:,}", f"{account.lost}", f"{account.doubled}", f"{account.set_aside}",
        f"{account.longest_seconds:.1f} s",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
