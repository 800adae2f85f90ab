"""Pictures of an incident: one module a form, all drawn from the same course of events."""
