"""The lower case of a language; in Python here, in the graph in a recogniser's `answer`."""


def lowered(text: str, language: str = "") -> str:
    """A text in the lower case of a language: Turkish and Azerbaijani have ı for I and i for İ.

    In others İ stays: its lower case in Unicode is i with a second dot, which nobody writes.
    """
    if has_dotless_i(language):
        text = text.replace("İ", "i").replace("I", "ı")
    return "İ".join(part.lower() for part in text.split("İ"))


def has_dotless_i(language: str) -> bool:
    """Whether a language, such as tr or tr-TR, has i with and without a dot."""
    return language.lower().replace("_", "-").split("-")[0] in ("tr", "az")
