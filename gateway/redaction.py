"""Nothing personal and nothing secret in a log line, whatever wrote it.

Records and logs name accounts, controllers, replies and tokens. What else may be in a text is taken
out by `statemachine.redaction`.
"""

from __future__ import annotations

import logging
import traceback

from ..statemachine.redaction import redact

__all__ = ["RedactingFilter", "install_redaction", "package_logger", "redact"]

_LINE_MAX = 1_000
"""Characters that are kept of a log line."""
_TRACE_MAX = 4_000
"""Characters that are kept of a traceback."""

_PACKAGE = "linewarden"


class RedactingFilter(logging.Filter):
    """Redacts a record's message with its arguments, its traceback and its extra text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: a line is made harmless, never lost."""
        try:
            line = record.getMessage()
        except Exception:  # noqa: BLE001 - logging would print the arguments
            line = f"{record.msg} (its arguments don't fit)"
        record.msg = redact(line, _LINE_MAX)
        record.args = ()
        if record.exc_info is not None:
            kind, error, trace = record.exc_info
            if error is not None:
                lines = traceback.format_exception(kind, error, trace)
                record.exc_text = redact("".join(lines).rstrip(), _TRACE_MAX)
            record.exc_info = None
        if record.stack_info:
            record.stack_info = redact(record.stack_info, _TRACE_MAX)
        for name, value in list(record.__dict__.items()):
            if name not in _STANDARD and isinstance(value, str):
                setattr(record, name, redact(value))
        return True


_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_FILTER = RedactingFilter()


def install_redaction(package: str = _PACKAGE) -> None:
    """Filter every logger of the package that exists by now; harmless when repeated.

    A filter of a logger is not asked about what its children log, so each gets its own.
    """
    # Every step is a record; what `transitions` logs of each would drown the gateway's own log.
    logging.getLogger("transitions").setLevel(logging.WARNING)
    names = [name for name in logging.root.manager.loggerDict if name.startswith(package + ".")]
    for name in [package, *names]:
        logging.getLogger(name).addFilter(_FILTER)


def package_logger(name: str) -> logging.Logger:
    """A logger of the package that is filtered from its first line on, whenever it is made."""
    logger = logging.getLogger(name)
    logger.addFilter(_FILTER)
    return logger
