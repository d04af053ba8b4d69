"""The largest message that MPI sends without waiting for its receiver, as the library itself says it (MPI_T).

mpi4py has no tool interface, so a few of its functions are called through ctypes in the library that mpi4py has loaded.
"""

from __future__ import annotations

import ctypes
from functools import cache

from strategies.comm.comm_choice import EagerLimit

VARIABLES = {True: ("btl_sm_eager_limit", "btl_vader_eager_limit"), False: ("btl_tcp_eager_limit",)}
"""Control variables of Open MPI, by whether the ranks share memory."""
ASSUMED = {True: EagerLimit(4096, "assumed: Open MPI's default"), False: EagerLimit(65536, "assumed: Open MPI's default")}


def eager_limit(shared_memory: bool) -> EagerLimit:
    """The limit between ranks of one node, or between nodes over TCP.

    Args:
        shared_memory: Whether the ranks are on one node.

    Returns:
        The limit with its source; that of Open MPI's defaults where the library does not tell.
    """
    for name in VARIABLES[shared_memory]:
        value = control_variable(name)
        if value is not None:
            return EagerLimit(value, f"MPI_T: {name}")
    return ASSUMED[shared_memory]


@cache
def control_variable(name: str) -> int | None:
    """An integer control variable of the MPI library (MPI 4.1, section 15.3.6).

    Args:
        name: Its name, such as ``btl_tcp_eager_limit``.

    Returns:
        Its value; None where the library has no such variable, or no tool interface.
    """
    from mpi4py import MPI

    library = ctypes.CDLL(MPI.__file__)  # finds the functions of the MPI that it is linked to
    level = ctypes.c_int()
    try:
        if library.MPI_T_init_thread(0, ctypes.byref(level)):
            return None
    except AttributeError:
        return None
    try:
        return _read(library, name)
    finally:
        library.MPI_T_finalize()


def _read(library: ctypes.CDLL, name: str) -> int | None:
    index, count, handle = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
    if library.MPI_T_cvar_get_index(name.encode(), ctypes.byref(index)):
        return None
    if library.MPI_T_cvar_handle_alloc(index, None, ctypes.byref(handle), ctypes.byref(count)):
        return None
    room = (ctypes.c_uint64 * max(1, count.value))()  # zeros, so that a narrower integer leaves the rest as it is
    failed = library.MPI_T_cvar_read(handle, room)
    library.MPI_T_cvar_handle_free(ctypes.byref(handle))
    return None if failed else room[0]
