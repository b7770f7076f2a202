"""What holds for all tests."""

import os

from hypothesis import settings

# Machines are shared: time never gates a test. A check of a change (CI) takes the same examples each time, so that it
# says something of the change; whoever runs the tests at home looks for new ones, and the seconds of fuzzing always do.
settings.register_profile("tickcast", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("tickcast")
