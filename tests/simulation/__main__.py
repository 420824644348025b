"""`python -m tests.simulation SEED` tells one history again; `FIRST LAST` many; `FIRST -` goes on until one fails."""

import itertools
import sys
import time
import traceback
from collections import Counter

from tests.simulation.campaign import Failed, campaign


def main(arguments: list[str]) -> int:
    if not arguments or not all(each == "-" or each.isdigit() for each in arguments):
        print(__doc__)
        return 2
    first = int(arguments[0])
    last = arguments[1] if len(arguments) > 1 else str(first)
    seeds = itertools.count(first) if last == "-" else range(first, int(last) + 1)
    happened: Counter[str] = Counter()
    began, told = time.monotonic(), 0
    sys.unraisablehook = lambda _args: None  # who was killed in a history that failed is collected without a word
    with campaign() as histories:
        for seed in seeds:
            try:
                history = histories.tell(seed)
            except Failed:
                traceback.print_exc()
                return 1
            told += 1
            happened += history.happened
            if told % 1000 == 0 or first == int(last.replace("-", "-1") or 0):
                print(
                    f"{told} histories, {told / (time.monotonic() - began):.0f} a second; seed {seed}: {history.digest}"
                )
    print(f"{told} histories in {time.monotonic() - began:.1f} s: {dict(sorted(happened.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
