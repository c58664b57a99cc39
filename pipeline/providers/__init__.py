"""The engines behind the ports: recognisers, language models and voices."""
