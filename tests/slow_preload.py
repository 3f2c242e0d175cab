"""What a fork server loads in place of ``gateway.read.preload``: nothing, until somebody opens the pipe ``ODD_PRELOAD`` to write."""

import os
from pathlib import Path

Path(os.environ["ODD_PRELOAD"]).read_bytes()
