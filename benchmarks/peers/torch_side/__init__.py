"""The other side of the benchmark: PyTorch's own ways to train a Transformer in parallel, on CPU over gloo.

A family of peers is a file. All train ``Twin`` (``twin_model.py``) from the same initial weights, in fp32, with the same
optimizer and the same loss: the sum over the valid targets of the global batch divided by their number.
``peer_check.py`` compares all of that, and every gradient, with one process.

There is no sequence-parallel peer: the ring attention of torch.distributed.tensor.experimental.context_parallel knows
the attention kernels of GPUs only. On CPU (torch 2.13) it raises "NotImplementedError: Operator
aten._scaled_dot_product_flash_attention_for_cpu.default does not have a sharding strategy registered." in the forward
of a causal attention, and the same of ``..._for_cpu_backward.default`` in the backward of another. A padding mask is
"RuntimeError: Attempting to broadcast a dimension of length ...". With SDPBackend.MATH forced, causal attention is
"RuntimeError: aten.add.Tensor got mixed torch.Tensor and DTensor"; the rest gathers all keys and values, without a ring.
"""
