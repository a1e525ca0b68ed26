"""The program on the terminal that TERMINAL names, as its controlling terminal."""

import os
import sys

from app.__main__ import main

os.setsid()
os.open(os.environ["TERMINAL"], os.O_RDWR)  # the first terminal that a session's leader opens is its own
raise SystemExit(main(sys.argv[1:]))
