"""What is told of calls to a server of the operator's own, while they go on and when they are over."""
