"""Exit codes of the command line; 2 is argparse's own, for a wrong command line."""

OK = 0
MISFIT = 1  # something does not fit, which is said in one line
DIFFERENT = 3  # the verification found a difference
STOPPED = 130  # with Ctrl-C
