"""What may be set: server settings and assistants; one place, typed, every error at once."""
