"""The rules for names and passwords of Wi-Fi networks, which the board's validator does not know."""

MAX_SSID_BYTES = 32  # IEEE 802.11
MIN_PASSWORD_BYTES, MAX_PASSWORD_BYTES = 8, 63  # WPA: a passphrase
KEY_DIGITS = 64  # WPA: a key, in hexadecimal digits


def password_mistake(password: str) -> str | None:
    """Return what is wrong with a Wi-Fi password, or None; an empty one is for an open network."""
    size = len(password.encode())
    is_key = size == KEY_DIGITS and all(digit in "0123456789abcdefABCDEF" for digit in password)
    if not password or is_key or MIN_PASSWORD_BYTES <= size <= MAX_PASSWORD_BYTES:
        return None
    return f"a Wi-Fi password has {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes, this one has {size}: correct it"
