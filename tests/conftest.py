"""How Hypothesis runs: reproducibly in continuous integration, searching anew on a desk."""

import os

from hypothesis import HealthCheck, settings

# No deadline in either: a slow machine is no defect of the code.
settings.register_profile("desk", deadline=None, print_blob=True)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=60,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
