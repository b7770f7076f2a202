"""The token of who may change a running instance over REST. It comes in a header, and never in an address."""

import hmac
from pathlib import Path
from typing import Final

from tickcast.gateway.config import TOKEN_MIN, Config
from tickcast.model.errors import UsageError

SCHEME: Final = "bearer "
FILE_MAX: Final = 4_096


def read_token(config: Config) -> str:
    """Return the token of the config or its file; empty = there is none, and nobody may change anything.

    Raises:
        UsageError: the file cannot be read, or holds no token.
    """
    if config.admin_token_file is None:
        return config.admin_token
    path = Path(config.admin_token_file)
    try:
        with path.open(encoding="utf-8") as file:
            token = file.read(FILE_MAX).strip()
    except (OSError, UnicodeDecodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "it is no text"
        raise UsageError(f"gateway.admin_token_file: cannot read {path}: {reason}") from wrong
    if len(token) < TOKEN_MIN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"gateway.admin_token_file: expected one line of at least {TOKEN_MIN} ASCII characters without spaces in "
            f"{path}, found {len(token)} characters"
        )
    return token


def is_token(header: str, token: str) -> bool:
    """Whether an ``Authorization`` header carries the token; takes as long for a wrong one as for the right one."""
    if not token or header[: len(SCHEME)].lower() != SCHEME:
        return False
    return hmac.compare_digest(header[len(SCHEME) :].strip().encode(), token.encode())
