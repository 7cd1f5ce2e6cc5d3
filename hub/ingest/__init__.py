"""The tick: one pass over what devices sent, from the broker's sockets to one committed transaction."""
