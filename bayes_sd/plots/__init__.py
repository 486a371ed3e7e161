"""Figures. Each draws a result that was computed before and returns a matplotlib ``Figure``; none computes anything."""
