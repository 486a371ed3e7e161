import os

from hypothesis import settings

# The first example pays for lazy imports, and the machine may be busy: the time of one example says nothing.
settings.register_profile("untimed", derandomize=bool(os.environ.get("CI")), deadline=None)
settings.load_profile("untimed")
