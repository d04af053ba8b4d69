"""Which peers there are. Each is imported when it is asked for: one that this torch lacks does not take the others along."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.peers.torch_side.torch_peer import PeerRefused, TorchPeer
from strategies.plan.model_spec import ModelSpec

PEERS = {
    "data": ("replicated_peers", "Data"),
    "data-bf16": ("replicated_peers", "DataBfloat16"),
    "zero": ("replicated_peers", "Zero"),
    "fsdp": ("fsdp_peer", "Fsdp"),
    "tensor": ("tensor_peer", "Tensors"),
    "pipeline-gpipe": ("pipeline_peers", "Gpipe"),
    "pipeline-1f1b": ("pipeline_peers", "OneForwardOneBackward"),
    "pipeline-interleaved": ("pipeline_peers", "Interleaved"),
    "pipeline-zb1p": ("pipeline_peers", "ZeroBubble"),
    "pipeline-zbv": ("pipeline_peers", "ZeroBubbleV"),
}
TWO_STAGES = ("pipeline-interleaved", "pipeline-zbv")
"""Peers with two stages on each rank."""


def peer_class(name: str) -> type[TorchPeer]:
    """A peer by its name.

    Args:
        name: One of ``PEERS``.

    Returns:
        Its class.

    Raises:
        PeerRefused: This torch has not what it is made of.
    """
    module, attribute = PEERS[name]
    try:
        found: type[TorchPeer] = getattr(import_module(f"benchmarks.peers.torch_side.{module}"), attribute)
    except (ImportError, AttributeError) as error:
        raise PeerRefused(f"torch {torch.__version__} lacks the peer {name} on this platform: {error}") from None
    return found


def check_model(spec: ModelSpec) -> None:
    """Refuse a model that the twin is not.

    Args:
        spec: The model.

    Raises:
        PeerRefused: It is a model of another kind, such as Llama.
    """
    if (spec.norm, spec.positions) != ("layer", "learned") or spec.mlp == "silu_gated" or spec.kv_heads != spec.heads:
        raise PeerRefused(f"{spec.name} has no twin in plain torch modules; use a BERT or a GPT-2")


def start_gloo(rank: int, size: int, store_path: str) -> None:
    """Start gloo between ranks that something else numbered. Collective.

    Args:
        rank: This rank.
        size: How many there are.
        store_path: A new file that all ranks see.

    Raises:
        PeerRefused: This torch has no gloo.
    """
    if not dist.is_available() or not dist.is_gloo_available():
        raise PeerRefused(f"torch {torch.__version__} has no gloo on this platform, so there are no peers to compare with")
    store: Any = dist.FileStore(store_path, size)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
