"""One game on this replica, and all of them: deadlines, judging, sweeping, counting."""
