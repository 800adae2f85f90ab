"""The neonize adapter: a client that is observed, and through which replies are written."""
