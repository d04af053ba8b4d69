"""Plain hostfiles, as Open MPI and MPICH read them: one host a line, with its slots.

    pi-1 slots=4            Open MPI
    jetson@10.0.0.2:4       MPICH; a user logs in over ssh
    localhost               one slot
    # a comment; blank lines are left out

Further ``key=value`` words are left to the MPI whose file it is. All else that a host may have (a name, a board class, meters)
needs an inventory in YAML: ``inventory``, with the keys of ``host_fields``.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.cluster import host_fields
from bench.common.user_error import UserError
from bench.config.host_config import Host

LINE = re.compile(r"^(?P<address>[^\s:=]+)(?::(?P<mpich>\d+))?(?P<rest>(\s+\S+=\S+)*)\s*$")


def read_lines(path: Path, text: str) -> list[Host]:
    """Read a plain hostfile.

    Args:
        path: Its path, for messages.
        text: What it says.

    Returns:
        The hosts in the order of the file.

    Raises:
        UserError: A line that is no host, with its number.
    """
    hosts = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        match = LINE.match(line)
        if match is None:
            raise UserError(f"hostfile {path} line {number}: {line!r} is neither 'host slots=N' nor 'host:N'")
        words = dict(word.split("=", 1) for word in match["rest"].split())
        user, _, address = match["address"].rpartition("@")
        slots = host_fields.slots(f"hostfile {path}", words.get("slots", match["mpich"] or 1))
        hosts.append(Host(address, slots, user=user or None))
    return hosts
