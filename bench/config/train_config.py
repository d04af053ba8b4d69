"""The ``train`` block: what one optimizer step is, how many there are, and what is saved."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting

NO_16_BITS = (
    "is not supported: MPI has no {dtype} and would sum its bytes; use float32, and strategy.wire={dtype} to send gradients in "
    "16 bits"
)


@dataclass(frozen=True)
class TrainConfig:
    """Training of one point."""

    batch: int = setting(32, "samples of one optimizer step, over all ranks", unit="samples", least=1)
    micro_batches: int | None = setting(None, "micro-batches of each replica; null: what the strategy prefers", least=1)
    seq: int = setting(64, "length of one sample", unit="tokens", least=1)
    steps: int | None = setting(
        None,
        "optimizer steps in all, with those before train.resume; null: as many as window_s needs",
        unit="steps",
        least=2,
        must="null or a whole number of at least 2 (one to warm up, one to time)",
    )
    lr: float = setting(5.0e-5, "learning rate", above=0)
    optimizer: str = setting(
        "adamw",
        "the optimizer",
        choices=("sgd", "adamw"),
        refused={"adam": "is unknown; use sgd or adamw"},  # another optimizer, no misspelt adamw
    )
    weight_decay: float = setting(0.01, "decay of matrices in each step, as a share of the learning rate", least=0)
    dtype: str = setting(
        "float32",
        "number format of weights and gradients",
        choices=("float64", "float32"),
        refused={name: NO_16_BITS.format(dtype=name) for name in ("bfloat16", "float16")},
    )
    recompute: str = setting(
        "none", "blocks: keep only block inputs and compute the rest again in backward", choices=("none", "blocks")
    )
    eval_every: int | None = setting(
        None, "steps between evaluations, outside of the timed windows; null: only at the end", unit="steps", least=1
    )
    replicate: bool = setting(False, "time and meter how the weights travel from rank 0 to the others, before training")
    save: str | None = setting(None, "folder for weights and optimizer states after the last step")
    resume: str | None = setting(None, "folder that train.save wrote: go on from there, under any strategy and mesh")
