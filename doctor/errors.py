"""Errors that end a command with one line on stderr and a known exit code."""

from __future__ import annotations


class UsageError(Exception):
    """The command cannot do what was asked: wrong words, or input that cannot be read. Exit code 2.

    The text is one line that says what is wrong and what to do.
    """
