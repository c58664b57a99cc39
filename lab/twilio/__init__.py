"""A simulated Twilio: its TwiML, its calls, its requests to the bridge, and its REST interface."""
