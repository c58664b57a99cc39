"""What a conversation is: listen, take turns, think, use tools, speak, play out."""
