"""Words that every form of a report has for the same thing. Light: the app's first screen needs them."""

SURE_WORDS = {"certain": "certain", "likely": "likely", "possible": "a guess"}
SUSPECT_WORDS = {"likely": "It is likely", "open": "It may be", "ruled out": "Ruled out"}
MORE_WORDS = "It may also be"
ALTERNATIVE_WORDS = ("Either it is", "Or it is")
"""Before the first and the further ones of several causes that are equally likely."""
NOTHING_WRONG = "Nothing known is wrong"
UNEXAMINED = "Too little could be examined to tell"
UNEXPLAINED = f"{NOTHING_WRONG}, but something failed"
UNEXPLAINED_TEXT = (
    "No entry of the knowledge base fits this: it may be the program's own mistake, or a fault that is new here."
)
CHECK_CONTAINER = "gpu-doctor check --container <container>"
UNEXPLAINED_STEPS = (CHECK_CONTAINER, "gpu-doctor image <image> --gpu <gpu>")
"""What tells more than a log does: the machine and container where it failed; whether the image has the GPU's code."""
