"""The exchangeable parts of a training step: what strategies are composed of (see ``strategies/composed.py``)."""
