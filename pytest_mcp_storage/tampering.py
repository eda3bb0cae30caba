"""What can be done to a stored envelope, so that no store may read it any more (EN-4)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from pytest_mcp_storage.envelopes import Envelope, opened, seal

LABEL = "enc:1:"
LABELS = (
    "", "enc:", "enc1:", "enc::", "enc:0:", "enc:2:", "enc:01:", "enc:1.0:", "enc:1::", "ENC:1:", "Enc:1:", "enc:１:",
    "enc :1:", "aes:1:", "enc:1:1:", "enc-1-",
)  # fmt: skip
SPACES = (" ", "\n", "\t", "\r\n", "\u00a0", "\ufeff", "\u200b")
SURPLUS = ("0", "00", "ab" * 16, "ab" * 5000, ":", ":00")
OTHER_TEXTS = (
    "", " ", "{}", "null", "[]", '""', "enc", "enc:1:", "enc:1:::", "Bearer abc", "undefined", "0" * 64,
    '{"access_token":"clear"}',
)  # fmt: skip
OTHER_DIGITS = str.maketrans("0123456789abcdef", "０１２３４５６７８９ａｂｃｄｅｆ")


@dataclass(frozen=True)
class Tampering:
    """A kind of damage, and the seed of where and how much."""

    kind: str
    seed: int

    def __call__(self, envelope: Envelope, key: str) -> str:
        """What the envelope, sealed with this key, becomes: always something else."""
        chance = Random(self.seed)
        while (text := str(KINDS[self.kind](chance, envelope, key))) == str(envelope):
            pass
        return text


def tamperings() -> st.SearchStrategy[Tampering]:
    """Damage of every kind."""
    return st.builds(Tampering, st.sampled_from(sorted(KINDS)), st.integers(0, 2**32 - 1))


def _altered(chance: Random, envelope: Envelope, key: str) -> str:
    text = str(envelope)
    at = chance.choice([place for place in range(len(LABEL), len(text)) if text[place] != ":"])
    return f"{text[:at]}{int(text[at], 16) ^ chance.randrange(1, 16):x}{text[at + 1 :]}"


def _cut(chance: Random, envelope: Envelope, key: str) -> str:
    text = str(envelope)
    at = chance.randrange(1, len(text))
    return chance.choice([text[:at], text[at:], text[:-1], text[:-2], text[:at] + text[at + 2 :]])


def _longer(chance: Random, envelope: Envelope, key: str) -> str:
    text, more = str(envelope), chance.choice(SURPLUS)
    return chance.choice(
        [text + more, more + text, text.replace(":", ":" + more, 2), LABEL + more + text[len(LABEL) :]]
    )


def _rearranged(chance: Random, envelope: Envelope, key: str) -> str:
    parts = str(envelope).split(":")
    at = chance.randrange(len(parts))
    repeated = [*parts[:at], chance.choice(parts), *parts[at:]]
    return ":".join(chance.choice([chance.sample(parts, len(parts)), parts[:at] + parts[at + 1 :], repeated]))


def _mixed(chance: Random, envelope: Envelope, key: str) -> Envelope:
    other = seal(opened(envelope, key) or b"{}", key)
    return chance.choice(
        [
            envelope._replace(iv=other.iv),
            envelope._replace(tag=other.tag),
            envelope._replace(ciphertext=other.ciphertext),
        ]
    )


def _relabelled(chance: Random, envelope: Envelope, key: str) -> str:
    return chance.choice(LABELS) + str(envelope).removeprefix(LABEL)


def _in_capitals(chance: Random, envelope: Envelope, key: str) -> str:
    parts = str(envelope).split(":")
    at = chance.randrange(len(parts))
    return ":".join(part.upper() if chance.choice([True, place == at]) else part for place, part in enumerate(parts))


def _spaced(chance: Random, envelope: Envelope, key: str) -> str:
    text = str(envelope)
    at = chance.choice([0, len(text), text.rindex(":") + 1, chance.randrange(len(text))])
    return text[:at] + chance.choice(SPACES) + text[at:]


def _in_other_digits(chance: Random, envelope: Envelope, key: str) -> str:
    text = str(envelope)
    at = chance.randrange(len(LABEL), len(text))
    return text[:at] + text[at].translate(OTHER_DIGITS) + text[at + 1 :]


def _tag_of_another_length(chance: Random, envelope: Envelope, key: str) -> Envelope:
    return envelope._replace(tag=(envelope.tag + "00000000")[: 2 * chance.choice([0, 1, 4, 8, 12, 13, 14, 15, 17, 20])])


def _iv_of_another_length(chance: Random, envelope: Envelope, key: str) -> Envelope:
    """Sealed anew, and well: GCM takes an IV of any length."""
    return seal(opened(envelope, key) or b"{}", key, iv_bytes=chance.choice([8, 11, 13, 16, 24]))


def _with_associated_data(chance: Random, envelope: Envelope, key: str) -> Envelope:
    return seal(opened(envelope, key) or b"{}", key, associated=chance.choice([b"tokens", b"enc:1:"]))


def _in_another_encoding(chance: Random, envelope: Envelope, key: str) -> str:
    text = str(envelope)
    return chance.choice([f'"{text}"', base64.b64encode(text.encode()).decode(), text[::-1], text.encode().hex()])


def _other_text(chance: Random, envelope: Envelope, key: str) -> str:
    return chance.choice(OTHER_TEXTS)


KINDS: dict[str, Callable[[Random, Envelope, str], str | Envelope]] = {
    "an altered envelope": _altered,
    "an envelope cut short": _cut,
    "an envelope that is too long": _longer,
    "an envelope with other parts": _rearranged,
    "an envelope with a part of another": _mixed,
    "an envelope with another label": _relabelled,
    "an envelope in capitals": _in_capitals,
    "an envelope with white space": _spaced,
    "an envelope in digits of another script": _in_other_digits,
    "an envelope with a tag of another length": _tag_of_another_length,
    "an envelope with an IV of another length": _iv_of_another_length,
    "an envelope with associated data": _with_associated_data,
    "an envelope in another encoding": _in_another_encoding,
    "text that is no envelope": _other_text,
}
"""Each kind of damage, as the subject of a sentence."""
