"""Decisions and their evidence, each computed per draw of a posterior."""
