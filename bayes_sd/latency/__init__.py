"""The formulas of the latency model and nothing else: arrays in, arrays out, for NumPy and PyTensor alike."""
