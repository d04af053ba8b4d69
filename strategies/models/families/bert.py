"""BERT and its descendants, such as all-MiniLM: an encoder with norms after the residuals (Devlin et al., arXiv 1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from strategies.models.model_family import PLAIN, Constants, ModelFamily, Stored, Switches, register, renamed
from strategies.plan.model_spec import ModelSpec

TOP = {
    "embed.tokens": "embeddings.word_embeddings",
    "embed.positions": "embeddings.position_embeddings",
    "embed.types": "embeddings.token_type_embeddings",
    "embed.norm": "embeddings.LayerNorm",
}
INSIDE = {
    "attn.q": "attention.self.query",
    "attn.k": "attention.self.key",
    "attn.v": "attention.self.value",
    "attn.o": "attention.output.dense",
    "attn_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}


@register
class Bert(ModelFamily):
    """Bidirectional, layer norms after the residuals, learned positions."""

    name: ClassVar[str] = "bert"
    prefixes: ClassVar[tuple[str, ...]] = ("", "bert.")
    classes: ClassVar[Mapping[str, str]] = {"classifier": "BertModel"}
    config_keys: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab",
        "hidden_size": "hidden",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "intermediate_size": "ffn",
        "max_position_embeddings": "max_positions",
        "type_vocab_size": "token_types",
        "layer_norm_eps": "norm_eps",
    }
    config_constants: ClassVar[Constants] = {"hidden_act": "gelu"}

    @classmethod
    def stored(cls, name: str) -> Stored | None:
        """Other names only."""
        return renamed(name, TOP, INSIDE, "encoder.layer")

    @classmethod
    def fixed_switches(cls, spec: ModelSpec) -> Switches:
        """BERT has no switch for any of these; it always has token types."""
        fixed = {**PLAIN, "causal": False, "norm_place": "post", "mlp": "gelu"}
        return {**fixed, "kv_heads": spec.heads, "token_types": max(1, spec.token_types)}
