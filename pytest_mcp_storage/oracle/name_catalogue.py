"""Bare names on which programs go wrong, by what they do to a name, each kind with its source.

They are used whole, without an example's mark, as identities and as session ids of one store: any two that a store
treats as one collide there.
"""

from __future__ import annotations

from pytest_mcp_storage.oracle.limits import LONGEST_NAME

NAMES: dict[str, tuple[str, ...]] = {
    # Form validators and str.strip: white space alone, and at the ends (Unicode, White_Space; ECMA-262 StrWhiteSpace).
    "blank": (" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\ufeff", "\x85", "\x1f", "\x7f"),
    "trimmed": ("a", " a", "a ", "a\t", "a\n", "\na", "a\r", "a\u00a0", "a\u3000", "\ufeffa", "a\u200b", "a  b", "a b"),
    # Paths: RFC 3986 5.2.4 (dot segments), POSIX, Windows reserved names; gorilla/sessions#275, bcosca/fatfree#1073.
    "path": (".", "..", "...", "./a", "../a", "a/", "/a", "a/b", "a//b", "a/./b", "a/../b", "/", "//", "\\", "a\\b",
             "..\\a", "~", ".a", "a.", "a.json", "-", "-a", "--", "con", "CON", "nul", "a:b", "C:", "*.*",
             "lost+found"),
    # URLs and forms: percent-encoding once and twice, plus, entities (RFC 3986, WHATWG URL, HTML).
    "quoted": ("%", "%41", "A", "%2e%2e", "%2E%2E", "%2F", "%2f", "%252F", "%00", "%20", "+", "a+b", "a%20b", "&",
               "&amp;", "a&b", "a=b", "#", "a#b", "a?b", "a;b", "\\u0041", "\\x41", "\\n"),
    # Patterns: SQL LIKE, Redis KEYS and SCAN, globs, regular expressions, PostgREST filters.
    "pattern": ("*", "?", "_", "a%", "a_", "a*", "a?", "[a]", "[^a]", "{a}", "{a,b}", "a,b", "(a)", "a.b", "^a", "a$",
                "a|b", "eq.a", "in.(a,b)", "not.null", "is.null", "\\", "\\*", "\\%", "a\\"),
    # Quotes: SQL, JSON, shells.
    "quotes": ("'", "''", '"', '""', "`", "a'b", "a''b", 'a"b', "' OR '1'='1", "$a", "${a}", "$1", "%s", "{0}"),
    # Keys joined from both names, and split again.
    "joined": (":", "::", "a:", ":a", "b:c", "a:b:c", "|", "@", "a@b", "\x1fa", "a\x1fb", ",", "a,b,c", ";", "/a/b"),
    # Words that are values, in dynamic languages and in stores that write text for nothing.
    "word": ("null", "NULL", "None", "nil", "undefined", "NaN", "true", "True", "TRUE", "false", "Infinity", "{}",
             "[]", "[object Object]", "\\N", "None,None"),
    # Names of objects' own properties (JavaScript, Python), and of stores' own keys.
    "property": ("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "length", "__class__",
                 "__dict__", "self", "id", "_id", "key", "keys", "index", "meta", "lock", "default", "all", "any",
                 "public", "anonymous", "admin", "root", "system", "session", "sessions", "identity", "user", "users",
                 "mcp", "global", "guest", "unknown", "_index", "__index__", "expires_at", "tokens"),
    # Numbers: SQLite's numeric affinity, PHP's and JavaScript's keys, doubles beyond 2**53.
    "number": ("0", "00", "-0", "1", "01", "1.0", "1.", "+1", "1e0", "0x1", "1_0", "10", "1e1", "\uff11", "\u0661",
               "9007199254740992", "9007199254740993", "18446744073709551616", "1" * 30, "1" * 29 + "2", "0.1", ".1"),
    # Dates, UUIDs, hashes and addresses, which are normalised.
    "typed": ("550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-446655440000",
              "550e8400e29b41d4a716446655440000", "{550e8400-e29b-41d4-a716-446655440000}", "2026-11-25",
              "2026-11-25T00:00:00Z", "2026-11-25T00:00:00.000Z", "A@B.example", "a@b.example", "A@b.example",
              "a@B.example", "a+c@b.example", "x.y@gmail.com", "xy@gmail.com", "https://A.example/b",
              "mailto:a@b.example", "https://a.example/b", "https://a.example:443/b", "HTTPS://A.example/b",
              "auth0|5f7c", "5f7c", "urn:a:b", "YQ==", "YQ", "d41d8cd98f00b204e9800998ecf8427e"),
    # Case, in the languages where it is not one to one (Unicode SpecialCasing.txt, CaseFolding.txt).
    "case": ("b", "B", "\u00df", "ss", "SS", "\u1e9e", "\u0130", "i", "I", "\u0131", "i\u0307", "\u03c3", "\u03c2",
             "\u03a3", "\u017f", "s", "\u212a", "k", "\u01c5", "\u01c6", "\ufb01", "fi", "\u0149"),
    # Normal forms NFC, NFD, NFKC, NFKD (UAX #15), and confusables (UTS #39).
    "normal form": ("\u00e9", "e\u0301", "e", "\u212b", "\u00c5", "A\u030a", "\uff41", "\u00b2", "2", "\u2460",
                    "\u2163",
                    "IV", "\u1e69", "s\u0323\u0307", "s\u0307\u0323", "\u0430", "\uac00", "\u1100\u1161", "\u2126",
                    "\u03a9"),
    # Collations and encodings: ignorable characters, characters beyond the basic plane (utf8mb4_general_ci), UTF-16.
    "collation": ("\u00e6", "ae", "\u0153", "oe", "\U0001f600", "\U0001f601", "\U0001f44d", "\U0001f44d\U0001f3fd",
                  "c\u00ad", "c", "c\u200d", "c\u2060", "c\ufe0f", "\u202ec", "\ue000", "\uffff", "\U0010ffff",
                  "\ufffd",
                  "?c", "\u0416", "\u042f", "\u00c3\u00a9"),
    # Columns, index keys and file names: 255 characters, bytes, UTF-16 units; cut or hashed.
    "long": ("d" * LONGEST_NAME, "d" * (LONGEST_NAME - 1), "d" * (LONGEST_NAME - 1) + "e", "d" * 191, "d" * 64,
             "d" * 63 + "e", "d" * 36, "d" * 128, "d" * 127, "\u00e9" * LONGEST_NAME,
             "\u00e9" * (LONGEST_NAME - 1) + "e", "\U0001f600" * LONGEST_NAME, "\U0001f600" * (LONGEST_NAME - 1)),
    # Names of one checksum, by pairs: CRC-32, Adler-32, Java's hashCode, djb2, FNV-1a with 32 bits, and the first eight
    # hexadecimal digits of MD5, SHA-1 and SHA-256. Keys and file names are shortened so; found by drawing names.
    "hashed": ("wx9x2xcoec", "5tvwm4sjgn", "8zab7ompfm", "n48ltwhhai", "f4ciswz21o", "i3ntr9b6cf", "1zkihk7hbz",
               "rnmnqtnqam", "jz04cluki0", "9tt9qig4eh", "peger6gky7", "6uf42m53ef", "mu2cju0f7j", "9cybos5qd6",
               "om1b8jsf9u", "9n9ifr2yp1"),
}  # fmt: skip

BARE_NAMES = tuple(dict.fromkeys(name for kind in NAMES.values() for name in kind))
RISKY_NAMES = tuple(
    dict.fromkeys(name for kind in ("blank", "path", "word", "property", "hashed") for name in NAMES[kind])
)
"""Names that stores use for something else; few enough for the smoke tier."""

SEPARATORS = (":", "/", "|", ".", "-", "_", ",", ";", "#", "@", " ", "\x1f", "::", "\n", "%3A", "\\", "~", "'")
JOINED = tuple(
    pair
    for by in SEPARATORS
    for pair in (("p", f"q{by}r"), (f"p{by}q", "r"), (f"p{by}", f"{by}q"), ("p", f"{by}{by}q"))
)
"""Pairs (identity, session id) that become one if a store joins them by a separator."""
