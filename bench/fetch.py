"""Pre-trained weights as files: ``python -m bench.fetch`` gets them once and checks them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.common.exit_codes import BAD_INPUT
from bench.common.paths import weights_root
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.common.weight_files import fetch


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m bench.fetch", description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=None, help=f"folder for weights (default: {weights_root()})")
    try:
        print(fetch(parser.parse_args(argv).root))
    except UserError as error:
        print(f"error: {as_called(str(error))}", file=sys.stderr)
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
