"""Our strategies against PyTorch's own over gloo, and against the limit."""
