"""The sections of a report, one kind of run each."""
