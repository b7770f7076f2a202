"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("tickcast", deadline=None)  # machines are shared: time never gates a test
settings.load_profile("tickcast")
