"""Machines laid out as files, with what their commands and engines answer, and the findings that each must give."""
