"""The version of this code: it stands in every record, so a replay can name what decided."""

VERSION = "0.1.0"
