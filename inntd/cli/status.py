"""What the command's exit status means."""

DONE, NOT_CONVERGED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
