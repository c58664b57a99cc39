"""Several processes on one port: who starts them, how they find each other, and what outlives one of them."""
