"""Programs the machine tests run inside guests; nothing of them is imported."""
