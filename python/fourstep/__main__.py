"""``python -m fourstep`` is the command ``fourstep``."""

from __future__ import annotations

import sys

from fourstep.cli import main

sys.exit(main())
