"""The version of this code: it stands in every record, so a replay can name what decided."""

VERSION = "0.1.0"

SCHEMA = 1
"""The number of the record's shape: it changes when older code could not read newer records."""
