"""Instead of bench.run.worker in tests of the campaign: ends as the point's seed says, through the real mpirun.

With ``STAND_IN_HEALED`` in the environment crashes and hangs are gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from bench.common.atomic_files import write_json
from tests.records import make_record

CRASH, HANG, MEMORY = 13, 14, 15
STUBBORN = 16  # hangs, and does not end when it is asked to
STEADY, SETTLING = 21, 22  # repeats that are nearly the same; and with two that are far off, among the first six
SETTLING_FACTORS = (1.0, 1.1, 0.9)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    started = datetime.now(timezone.utc)
    seed = config["seed"]
    if "STAND_IN_HEALED" in os.environ and seed in (CRASH, HANG):
        seed = 0
    if seed == CRASH:
        raise ValueError("the stand-in crashes")
    if seed in (HANG, STUBBORN):
        if seed == STUBBORN:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("the stand-in hangs", flush=True)
        time.sleep(600)
    if seed == MEMORY:
        print("error: out of memory on rank 0: can't allocate memory", file=sys.stderr, flush=True)
        sys.exit(3)
    repeat = config["repeat"]
    record = make_record(config["strategy"]["name"], 0 if seed in (STEADY, SETTLING) else repeat)
    record["point"].update({key: config[key] for key in ("study", "experiment", "order", "hash", "seed")}, name=config["point"])
    record["point"]["repeat"] = repeat
    factor = 1 + 0.001 * (repeat % 5)
    if seed == SETTLING:
        factor *= SETTLING_FACTORS[repeat] if repeat < len(SETTLING_FACTORS) else 1.0
    if seed in (STEADY, SETTLING):
        record["time"]["samples_per_s"] *= factor
        record["energy"]["per_sample_J"] /= factor
    record["environment"]["started"] = started.isoformat(timespec="seconds")
    record["environment"]["finished"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(Path(config["paths"]["point"]) / "result.json", record)


if __name__ == "__main__":
    main()
