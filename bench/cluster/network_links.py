"""Network links, ``conf/link/NAME.yaml``: what boards are connected by. Every number has its source.

``rate_bit_s`` is what a link is shaped to: the line rate of Ethernet, whose net TCP throughput then follows; for Wi-Fi the
measured TCP throughput, for a radio's line rate says little. ``latency_s`` is one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.common.sourced_number import SourcedNumber
from bench.common.sourced_yaml import check_keys, check_number, check_text, read
from bench.common.user_error import UserError

NUMBERS = ("rate_bit_s", "latency_s", "loss")
KEYS = ("name", "description", *NUMBERS)


@dataclass(frozen=True)
class NetworkLink:
    """The description of a link: rate (bit/s), latency one way (s), share of lost packets; None where not known."""

    name: str
    description: str
    rate_bit_s: SourcedNumber
    latency_s: SourcedNumber | None = None
    loss: SourcedNumber | None = None


def load_link(name: str, folder: Path | Sequence[Path]) -> NetworkLink:
    """Read the description of a link.

    Args:
        name: The link: the file's name without ``.yaml``.
        folder: Where the files are; of several folders the first that has the file.

    Returns:
        The link with its numbers and their sources.

    Raises:
        UserError: One line, for an unknown link and for anything wrong in its file.
    """
    link = read("link", name, folder)
    where = f"link {name}"
    check_keys(where, link, KEYS, ("name", "description", "rate_bit_s"))
    check_text(f"{where}: description", link["description"])
    for key in NUMBERS:
        if key in link:
            check_number(f"{where}: {key}", link[key], zero=key == "loss")
    if "loss" in link and link["loss"]["value"] >= 1:
        raise UserError(f"{where}: loss must be the share of packets that is lost, below 1, found {link['loss']['value']!r}")
    numbers = {key: SourcedNumber(**link[key]) for key in NUMBERS if key in link}
    return NetworkLink(link["name"], link["description"], **numbers)
