"""Facades with the names, defaults and layouts of other systems; imported only when asked for."""
