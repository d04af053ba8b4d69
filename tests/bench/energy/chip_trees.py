"""The chips of ``tests/stand_ins/hwmon_chips.yaml`` as trees of /sys, with the links that the kernel makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.project import TESTS

KINDS: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((TESTS / "stand_ins/hwmon_chips.yaml").read_text())


def chip_tree(root: Path, kind: str) -> Path:
    """``/sys/class/hwmon`` with the chips of a kind, below ``root``."""
    for name, files in KINDS[kind].items():
        device = root / "sys/devices/platform" / str(files["device"])
        folder = device / "hwmon" / name
        folder.mkdir(parents=True)
        (folder / "device").symlink_to("../..")
        for file, value in files.items():
            if file != "device":
                (device / file[:-1] if file.endswith("/") else folder / file).write_text(f"{value}\n")
        link = root / "sys/class/hwmon" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../devices/platform/{files['device']}/hwmon/{name}")
    return root
