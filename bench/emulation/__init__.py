"""Emulated boards: several boards on one Linux machine, started by the same mpirun through the same kind of inventory.

A board is a network namespace with a host name of its own, a shaped link to a switch, and control groups that limit its
processor and its memory. ``emulated_boards`` says what is emulated, ``network_commands`` which names and
commands that takes (both pure); ``lifecycle`` and ``cgroups`` do it, ``agent`` enters a board in the place of ssh, ``lease``
holds boards for a campaign.
"""

PREFIX = "ej-"
"""All names that a testbed gives to namespaces, interfaces and control groups begin with it."""
