"""`python -m packager`, and the `packager` command."""

import signal

# while the commands are imported nothing is there to be tidied: an interrupt leaves no traceback
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from packager.cli import main

if __name__ == "__main__":
    main()
