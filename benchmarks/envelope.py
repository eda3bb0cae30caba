"""Sealing and opening a typical token set against bare AESGCM, json and hex: ``python benchmarks/envelope.py``."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paired import paired, report

from reference_backends import Keyring

TOKENS = {
    "access_token": os.urandom(200).hex(),
    "refresh_token": os.urandom(100).hex(),
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "read write",
}
KEY = os.urandom(32)
BAR = 1.2


def bare(cipher: AESGCM) -> object:
    """Seal and open with the minimum that every implementation needs, without checks and typed errors."""
    iv = os.urandom(12)
    sealed = cipher.encrypt(iv, json.dumps(TOKENS).encode(), None)
    text = f"enc:1:{iv.hex()}:{sealed[-16:].hex()}:{sealed[:-16].hex()}"
    _, _, iv_hex, tag, ciphertext = text.split(":")
    opened = cipher.decrypt(bytes.fromhex(iv_hex), bytes.fromhex(ciphertext) + bytes.fromhex(tag), None)
    return json.loads(opened)


async def main() -> int:
    keyring, cipher = Keyring(KEY.hex()), AESGCM(KEY)

    async def ours(_: int) -> None:
        keyring.open(keyring.seal(TOKENS))

    async def theirs(_: int) -> None:
        bare(cipher)

    pair = await paired(
        "envelope: seal and open, against AESGCM, json, hex", ours, theirs, bar=BAR, at_most=True, chunk=1000
    )
    print(pair)
    return report([pair])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
