"""What touches the wire: HTTP, WebSocket, the carrier's dialect, call control, call store, events out."""
