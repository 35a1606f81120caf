"""The terminal app. It renders reports and events of the engine; it neither probes nor judges."""
