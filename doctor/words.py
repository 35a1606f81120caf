"""Words that every form of a report has for the same thing. Light: the app's first screen needs them."""

SURE_WORDS = {"certain": "certain", "likely": "likely", "possible": "a guess"}
SUSPECT_WORDS = {"likely": "It is likely", "open": "It may be", "ruled out": "Ruled out"}
