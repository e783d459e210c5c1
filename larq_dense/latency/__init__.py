"""How long a network takes: on every engine of this machine, and on a phone."""
