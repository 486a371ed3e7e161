"""Checks of fitted models against the rows they were fitted to, and against one another."""
