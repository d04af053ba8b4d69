"""Llama, and what has its names and layout, such as Qwen2 (Touvron et al., arXiv 2302.13971).

A decoder with RMS norms, rotary positions, a gated MLP and grouped key/value heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from strategies.models.model_family import UNKNOWN_TOKENS, Constants, ModelFamily, Stored, Switches, register, renamed
from strategies.plan.model_spec import ModelSpec

TOP = {"embed.tokens": "embed_tokens", "norm": "norm", "head": "lm_head"}
INSIDE = {
    "attn.q": "self_attn.q_proj",
    "attn.k": "self_attn.k_proj",
    "attn.v": "self_attn.v_proj",
    "attn.o": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
    "mlp_norm": "post_attention_layernorm",
}


@register
class Llama(ModelFamily):
    """Causal, RMS norms before attention and MLP, rotary positions."""

    name: ClassVar[str] = "llama"
    prefixes: ClassVar[tuple[str, ...]] = ("model.", "")
    written_prefix: ClassVar[str] = "model."
    classes: ClassVar[Mapping[str, str]] = {"classifier": "LlamaModel", "lm": "LlamaForCausalLM"}
    config_keys: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab",
        "hidden_size": "hidden",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "intermediate_size": "ffn",
        "max_position_embeddings": "max_positions",
        "num_key_value_heads": "kv_heads",
        "rms_norm_eps": "norm_eps",
        "rope_theta": "rope_theta",
        "attention_bias": "qkv_bias",
        "mlp_bias": "mlp_bias",
        "tie_word_embeddings": "tied",
    }
    config_constants: ClassVar[Constants] = {"hidden_act": "silu", **UNKNOWN_TOKENS}

    @classmethod
    def stored(cls, name: str) -> Stored | None:
        """Other names only."""
        return renamed(name, TOP, INSIDE, "layers")

    @classmethod
    def fixed_switches(cls, spec: ModelSpec) -> Switches:
        """Llama has no switch for any of these, and one for all biases of attention."""
        return {
            "norm": "rms",
            "positions": "rotary",
            "causal": True,
            "norm_place": "pre",
            "mlp": "silu_gated",
            "token_types": 0,
            "out_bias": spec.qkv_bias,  # one switch for both
        }
