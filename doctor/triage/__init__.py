"""Many tickets at once: each becomes a report, and reports of one cause stand together."""
