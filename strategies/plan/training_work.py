"""How many floating point operations a training step needs: forward and backward of the model, whoever does it."""

from __future__ import annotations

from strategies.plan.model_spec import ModelSpec, parameters


def training_flop(spec: ModelSpec, samples: int, seq: int) -> float:
    """Operations of forward and backward over some samples, two for each multiply and add.

    6 for each weight of a matrix and token (forward 2, backward 4), and 12 for each layer, hidden element and pair of
    tokens in attention (Chowdhery et al., PaLM, arXiv 2204.02311, appendix B; causal masks are not subtracted). Table
    look-ups, norms and activations count nothing, nor does what is recomputed. A classifier's head sees one vector a sample.

    Args:
        spec: The model.
        samples: Samples of all ranks together.
        seq: Tokens of one sample.

    Returns:
        The operations.
    """
    tokens = samples * seq
    weights = sum(p.size for p in parameters(spec) if len(p.shape) == 2 and isinstance(p.place, int))
    head = spec.vocab * spec.hidden * tokens if spec.head == "lm" else spec.labels * spec.hidden * samples
    attention = 12 * spec.layers * spec.hidden * seq * tokens
    return float(6 * weights * tokens + 6 * head + attention)
