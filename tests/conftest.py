"""What all the tests share: the directory of fakes on the import path, and no wall clock."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# An example that is slow on a busy machine is not wrong.
settings.register_profile("steelyard", deadline=None)
settings.load_profile("steelyard")
