"""GPT-2: a decoder with norms before attention and MLP (Radford et al., 2019).

Its checkpoints keep matrices transposed (``Conv1D``), and q, k and v side by side in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from strategies.models.model_family import PLAIN, UNKNOWN_TOKENS, Constants, ModelFamily, Stored, Switches, register, renamed
from strategies.plan.model_spec import ModelSpec

TOP = {"embed.tokens": "wte", "embed.positions": "wpe", "norm": "ln_f", "head": "lm_head"}
INSIDE = {"attn_norm": "ln_1", "attn.o": "attn.c_proj", "mlp_norm": "ln_2", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
FUSED = {"attn.q": 0, "attn.k": 1, "attn.v": 2}


@register
class GPT2(ModelFamily):
    """Causal, layer norms before attention and MLP, learned positions."""

    name: ClassVar[str] = "gpt2"
    prefixes: ClassVar[tuple[str, ...]] = ("", "transformer.")
    written_prefix: ClassVar[str] = "transformer."
    classes: ClassVar[Mapping[str, str]] = {"classifier": "GPT2Model", "lm": "GPT2LMHeadModel"}
    config_keys: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab",
        "n_embd": "hidden",
        "n_layer": "layers",
        "n_head": "heads",
        "n_inner": "ffn",
        "n_positions": "max_positions",
        "layer_norm_epsilon": "norm_eps",
        "tie_word_embeddings": "tied",
    }
    config_constants: ClassVar[Constants] = {"activation_function": "gelu_new", **UNKNOWN_TOKENS}

    @classmethod
    def stored(cls, name: str) -> Stored | None:
        """Other names, transposed matrices, and q, k, v as thirds of one."""
        for key, part in FUSED.items():
            if f".{key}." in name:
                layer, kind = name.split(".")[1], name.rsplit(".", 1)[1]
                return Stored(f"h.{layer}.attn.c_attn.{kind}", kind == "weight", (part, 3))
        place = renamed(name, TOP, INSIDE, "h")
        matrix = any(f".{key}.weight" in name for key in ("attn.o", "mlp.up", "mlp.down"))
        return Stored(place.name, transposed=True) if place and matrix else place

    @classmethod
    def fixed_switches(cls, spec: ModelSpec) -> Switches:
        """GPT-2 has no switch for any of these."""
        fixed = {**PLAIN, "causal": True, "norm_place": "pre", "mlp": "gelu_tanh", "token_types": 0}
        return {**fixed, "kv_heads": spec.heads}
