"""Folds of the log: what is known of every account, now or as of any moment, and why."""
