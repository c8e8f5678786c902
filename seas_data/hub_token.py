"""The token for the Hugging Face Hub."""

import os

from seas_data.errors import SeasDataError


def check_hub_token() -> None:
    """Raise SeasDataError if the token cannot be sent, before the Hub's client fails on it. No message contains it."""
    from huggingface_hub import get_token

    token = get_token()
    if token is None or all("!" <= character <= "~" for character in token):
        return
    set_by = next((name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name)), None)
    place = f"in the environment variable {set_by}" if set_by else "that is stored on this machine"
    step = f"set {set_by} to it again" if set_by else "log in again with `hf auth login`"
    raise SeasDataError(
        f"the Hub token {place} has a blank, a letter outside ASCII or another character that no token has; {step}"
    )
