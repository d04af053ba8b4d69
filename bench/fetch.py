"""Pre-trained weights as files: ``python -m bench.fetch`` gets them once and checks them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.common.user_error import UserError
from bench.common.weight_files import fetch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fetch", description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=None, help="folder for weights (default: weights/ in the project)")
    try:
        print(fetch(parser.parse_args().root))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
