"""Changes of a stored envelope after which no store may read it (EN-4)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from pytest_mcp_storage.canary.envelopes import Envelope, opened, seal

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


def near_misses(envelope: Envelope, key: str) -> list[tuple[str, str]]:
    """Return texts that a lenient reader may accept for this envelope, sealed by ``key``, each with a name.

    Those with an IV of another length, or with associated data, can be decrypted, but are not envelopes.
    """
    text, plain = str(envelope), opened(envelope, key) or b"{}"
    rest = text.removeprefix(LABEL)
    found = [(f"an envelope with the label {label!r}", label + rest) for label in LABELS]
    found += [(f"an envelope and then {space!r}", text + space) for space in SPACES]
    found += [(f"an envelope after {space!r}", space + text) for space in SPACES]
    found += [(f"an envelope with {space!r} in it", text.replace(":", ":" + space)) for space in SPACES]
    found += [(f"an envelope and then {more[:40]!r}", text + more) for more in SURPLUS]
    found += [(f"the text {other!r}", other) for other in OTHER_TEXTS]
    for part in envelope._fields:
        digits = getattr(envelope, part)
        for how, changed in (
            ("in capitals", digits.upper()),
            ("left out", ""),
            ("in digits of another script", digits.translate(OTHER_DIGITS)),
            ("with spaces between its bytes", bytes.fromhex(digits).hex(" ")),
            ("in base64", base64.b64encode(bytes.fromhex(digits)).decode()),
            ("after 0x", f"0x{digits}"),
            ("after a zero byte", f"00{digits}"),
            ("and a zero byte behind it", f"{digits}00"),
            ("with an underscore in it", f"{digits[:2]}_{digits[2:]}"),
        ):
            found.append((f"an envelope with its {part} {how}", str(envelope._replace(**{part: changed}))))
    for length in (0, 1, 4, 8, 12, 13, 14, 15):
        found.append(
            (f"an envelope with a tag of {length} bytes", str(envelope._replace(tag=envelope.tag[: 2 * length])))
        )
    for length in (8, 11, 13, 16):
        found.append((f"an envelope with an IV of {length} bytes", str(seal(plain, key, iv_bytes=length))))
    found += [
        ("an envelope with associated data", str(seal(plain, key, associated=b"tokens"))),
        ("an envelope with the tag behind the ciphertext", f"enc:1:{envelope.iv}:{envelope.ciphertext}:{envelope.tag}"),
        ("an envelope with the tag within the ciphertext", f"enc:1:{envelope.iv}:{envelope.ciphertext}{envelope.tag}"),
        ("an envelope in quotes", f'"{text}"'),
        ("an envelope in base64", base64.b64encode(text.encode()).decode()),
        ("an envelope in hexadecimal", text.encode().hex()),
        ("an envelope in capitals", text.upper()),
    ]
    return [(what, changed) for what, changed in found if changed != text]


@dataclass(frozen=True)
class Tampering:
    """A kind of damage, and the seed of its place and extent."""

    kind: str
    seed: int

    def __call__(self, envelope: Envelope, key: str) -> str:
        """Return what the envelope, sealed with this key, becomes: always something else."""
        chance = Random(self.seed)
        while (text := str(KINDS[self.kind](chance, envelope, key))) == str(envelope):
            pass
        return text


def tamperings() -> st.SearchStrategy[Tampering]:
    """Return damage of every kind."""
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


KINDS: dict[str, Callable[[Random, Envelope, str], str | Envelope]] = {
    "an altered envelope": _altered,
    "an envelope cut short": _cut,
    "an envelope that is too long": _longer,
    "an envelope with other parts": _rearranged,
    "an envelope with a part of another": _mixed,
    "an envelope with another label": _relabelled,
    "an envelope in capitals": _in_capitals,
    "an envelope with white space": _spaced,
}
"""Each kind of damage, as the subject of a sentence."""
