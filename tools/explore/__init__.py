"""Exploring an incident: step through it, ask what if, and find the least that shows it."""
