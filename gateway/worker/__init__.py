"""The worker: the process in which linewarden runs one neonize client, and its wire."""
