"""Code that SQL targets and mirrors share: the publish protocol, columns, sessions."""
