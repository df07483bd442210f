"""What must come of a message on the wire, as tables, and the means to try it."""
