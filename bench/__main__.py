"""``python -m bench``: see ``python -m bench --help``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Hydra looks for the campaign launcher in a package beside this one, from whatever folder we are started.
    project = str(Path(__file__).resolve().parents[1])
    if project not in sys.path:
        sys.path.insert(0, project)
    if sys.argv[1:] == ["--version"]:  # Hydra would tell its own
        from bench.common.program_names import version

        print(version())
        sys.exit(0)
    from bench.commands.run_command import main

    sys.exit(main())
