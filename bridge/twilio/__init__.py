"""The dialect of Twilio Media Streams, its TwiML and its signatures."""
