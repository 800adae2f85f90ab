"""linewarden: the lifecycle of WhatsApp connections as an event-sourced state machine."""
