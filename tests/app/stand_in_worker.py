"""Instead of bench.worker in tests of the campaign: ends as the point's seed says, through the real mpirun."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.record.writer import write_json
from tests.records import make_record

CRASH, HANG, MEMORY = 13, 14, 15


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    if config["seed"] == CRASH:
        raise ValueError("the stand-in crashes")
    if config["seed"] == HANG:
        print("the stand-in hangs", flush=True)
        time.sleep(600)
    if config["seed"] == MEMORY:
        print("error: out of memory on rank 0: can't allocate memory", file=sys.stderr, flush=True)
        sys.exit(3)
    record = make_record(config["strategy"]["name"], config["repeat"])
    record["point"].update({key: config[key] for key in ("study", "experiment", "order", "hash", "seed")}, name=config["point"])
    write_json(Path(config["paths"]["point"]) / "result.json", record)


if __name__ == "__main__":
    main()
