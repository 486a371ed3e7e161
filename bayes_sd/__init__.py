"""Hierarchical Bayesian latency models of speculative decoding in LLM serving."""
