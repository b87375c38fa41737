"""The passwords that are tried first: a small list, and the patterns that it would be long with.

Shorter words matter too, because people reach the least length by repeating them or by adding
digits: a password is common when nothing but a common word is left without its digits and signs.
"""

import string

_WORDS = frozenset(
    """
    password passwort passwd senha palavra contrasena motdepasse administrator administrador
    admin welcome bemvindo willkommen letmein changeme default secret topsecret qwerty
    qwertyuiop qwertz azerty asdfgh asdfghjkl zxcvbnm qazwsx qazwsxedc iloveyou superman
    batman starwars football baseball basketball princess sunshine dragon monkey shadow master
    michael jennifer charlie trustno access login guest test testing tester user username root
    toor server system database computer internet summer winter spring autumn january february
    december company industry weighing weighbridge truck scale scales steelyard station
    customer platform smartbox loadcell correcthorsebatterystaple pleaseletmein
    thisisapassword mypassword yourpassword nopassword passphrase temporary temp demo example
    abcdefghijkl abcdefghijklm letmeinplease changeit
    """.split()  # noqa: SIM905 - a list of a hundred quoted words reads worse
)
_SEQUENCES = (
    "0123456789" * 13,
    "9876543210" * 13,
    "abcdefghijklmnopqrstuvwxyz" * 5,
    "zyxwvutsrqponmlkjihgfedcba" * 5,
    "qwertyuiopasdfghjklzxcvbnm" * 5,
    "qwertzuiopasdfghjklyxcvbnm" * 5,
    "1q2w3e4r5t6z7u8i9o0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
)
_LEET = str.maketrans("013457@$!", "oleastasi")
_MAX_PERIOD = 4
_MAX_WORDS = 3
_ORNAMENTS = string.digits + string.punctuation + " "
_MAX_ORNAMENTS = 8  # with more digits and signs than that it is no longer the word that is guessed


def is_common(folded: str) -> bool:
    """Whether a case-folded password is one of the first that are tried."""
    if any(folded in sequence for sequence in _SEQUENCES) or _repeats(folded, _MAX_PERIOD):
        return True
    spellings = (_letters(folded), _letters(folded.strip(_ORNAMENTS).translate(_LEET)))
    return any(
        _joins(letters, _MAX_WORDS)
        for letters in spellings
        if letters and len(folded) - len(letters) <= _MAX_ORNAMENTS
    )


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


def _joins(letters: str, words: int) -> bool:
    """Whether it is at most so many common words one after the other."""
    if letters in _WORDS:
        return True
    return words > 1 and any(
        letters.startswith(word) and _joins(letters[len(word) :], words - 1) for word in _WORDS
    )


def _repeats(text: str, longest: int) -> bool:
    return any(text == (text[:period] * len(text))[: len(text)] for period in range(1, longest + 1))
