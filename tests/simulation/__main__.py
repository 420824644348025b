"""`python -m tests.simulation SEED` tells one history again; `FIRST LAST` many; `FIRST -` goes on until one fails.

`campaign` is what CI tells, in two processes; `campaign FIRST LAST [PROCESSES]` another range.
"""

import itertools
import sys
import time
import traceback
from collections import Counter

from tests.simulation.campaign import CAMPAIGN, MET, Failed, Told, campaign, tell_in_processes

_SAY_EVERY = 10  # per cent


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["campaign"] and len(arguments) != 2 and all(each.isdigit() for each in arguments[1:]):
        return run_campaign(*map(int, arguments[1:]))
    if not arguments or not all(each == "-" or each.isdigit() for each in arguments):
        print(__doc__)
        return 2
    first = int(arguments[0])
    last = arguments[1] if len(arguments) > 1 else str(first)
    return tell(itertools.count(first) if last == "-" else range(first, int(last) + 1))


def tell(seeds: "itertools.count[int] | range") -> int:
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
            if told % 1000 == 0 or (isinstance(seeds, range) and len(seeds) == 1):
                a_second = told / (time.monotonic() - began)
                print(f"{told} histories, {a_second:.0f} a second; seed {seed}: {history.digest}", flush=True)
    print(f"{told} histories in {time.monotonic() - began:.1f} s: {dict(sorted(happened.items()))}")
    return 0


def run_campaign(first: int = CAMPAIGN[0], last: int = CAMPAIGN[-1], processes: int = 2) -> int:
    seeds, began, said = range(first, last + 1), time.monotonic(), 0

    def say(told: Told) -> None:
        nonlocal said
        share = 100 * told.histories // len(seeds)
        if share >= said + _SAY_EVERY:
            said = share
            print(f"  {told.histories} of {len(seeds)}, {time.monotonic() - began:.0f} s", flush=True)

    print(f"seeds {first} to {last} in {processes} processes", flush=True)
    told = tell_in_processes(seeds, processes, say)
    if told.failure:
        print(told.failure)
        print(f"campaign: {told.histories} passed, 1 failed")
        return 1
    not_met = [what for what in MET if not told.happened[what]]
    if seeds == CAMPAIGN and not_met:
        print(f"these histories prove nothing: they never met {not_met}")
        return 1
    print(f"every promise was kept, in {time.monotonic() - began:.0f} s: {dict(sorted(told.happened.items()))}")
    print(f"campaign: {told.histories} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
