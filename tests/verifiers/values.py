"""Values and notations that parsers are known to read differently."""

# ruff: noqa: RUF001 - characters that look alike are intended.

from __future__ import annotations

from draft import ISSUER, LIST_URI, NOW, Raw

NUMBERS = [
    "0", "1", "-1", "-0", "0.0", "-0.0", "1.0", "0.5", "1e0", "1E0", "1e+0", "1e-0", "7e0", "10e-1",
    "1e300", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "1e400",
    "-1e400", "1e-400", "5e-324", "2e-324", "0e400", "0e99999999999999999999", "-0e1",
    "1e99999999999999999999", "1e-99999999999999999999", "0." + "0" * 400 + "1", "9" * 308,
    "9" * 400, "-" + "9" * 400, "9007199254740991", "9007199254740992", "9007199254740993",
    "9007199254740991.0", "9007199254740990.5", "4294967295", "4294967296", "2147483648",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "18446744073709551617",
    "340282366920938463463374607431768211456", f"{NOW}", f"{NOW}.0", f"{NOW}e0", f"{NOW}00e-2",
    f"{NOW + 900}.0", f"{NOW - 10}.5", "1" + "0" * 30, "0.1e1", "1.0e0", "1.10",
    "100000000000000000", "999999999999999999", "1000000000000000000", "9999999999999999999",
]
"""Valid JSON numbers."""

INVALID_NUMBERS = [
    "01", "00", "-01", "+1", "1.", ".5", "-", "1e", "1e+", "0x10", "1_000", "NaN", "Infinity",
    "-Infinity", "1,0", "1 0", "--1", "1.0.0", "1e1.5", "٣", "1\u00a0", "Inf", "nan", "0b1", "1n",
]

STRINGS = [
    '""', '" "', '"x"', '"null"', '"0"', '"\\u0000"', '"\\u0041"', '"\\ud834\\udd1e"', '"𝄞"',
    '"\\/"', '"é"', '"e\u0301"', '"\u2028"', '"\ufeff"', '"\\ufeff"', '"\uffff"', '"\\uffff"',
    '"\x7f"', '"\\u007F"', '"\u212a"', '"ſ"', f'"{ISSUER}"', f'"{ISSUER}/"', f'"{LIST_URI}"',
]

INVALID_STRINGS = [
    '"\\ud800"', '"\\udc00"', '"\\udd1e\\ud834"', '"\\ud834\\ud834\\udd1e"', '"\\ud834x"',
    '"\\x41"', '"\\u00g0"', '"\\u004"', '"\\U0041"', '"\\u{41}"', '"\\u٠٠٤١"', '"\\u 041"',
    '"\\u+041"', '"\\a"', '"\\0"', "\"\\'\"", "'x'", '"a\nb"', '"a\tb"', '"a\0b"', '"x', 'x"',
    '"\\', '"\x1f"', "“x”", '"\\ud834\\u"', '"\\ud834\\n"', '"\\v"',
]

OTHERS = ["null", "true", "false", "[]", "{}", "[[]]", "[null]", '{"":1}', '{"a":{"a":1}}', "[1,2]"]

INVALID_OTHERS = [
    "True", "nul", "nulll", "undefined", "[1,]", "[,1]", "{,}", '{"a"}', '{"a":}', '{"a":1,}',
    '{a:1}', "{1:1}", "[1 2]", '{"a":1 "b":2}', '{"a":1,"a":2}', '{"a":1,"\\u0061":1}', "[",
    "]", "{", "}", "", "/**/1", "1//", "#", "[1}", '{"a":1]', '{"__proto__":1,"__proto__":1}',
    '{"":1,"":1}', '{"é":1,"\\u00e9":1}', '{"é":1,"e\u0301":1}',
]
"""Mostly invalid JSON. Objects whose names only look equal are valid."""

VALID_JSON = [*NUMBERS, *STRINGS, *OTHERS]
INVALID_JSON = [*INVALID_NUMBERS, *INVALID_STRINGS, *INVALID_OTHERS]

TEXTS = [
    "", " ", "x", "JWT", "at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT",
    "application/jwt", "jwt", "Jwt", "JWS", "at+jwt ", " at+jwt", "at+jwt;x=1",
    "application/at+jWT", "applicatıon/at+jwt", "application/application/at+jwt", "text/at+jwt",
    "/at+jwt", "at jwt",
    "at%2Bjwt", "at+jwt\0", "at+jwt\n", "statuslist+jwt", "StatusList+JWT", "logout+jwt",
    "application/statuslist+jwt", "ſtatuslist+jwt", "STATUSLIST+JWT", "RS256", "rs256", "RS256 ",
    "RS384", "PS256", "HS256", "ES256", "none", "RS256\0", "RSA-SHA256", "key-1", "key-2", "KEY-1",
    "key-1 ", "key-1\0", "key-3", "ＫＥＹ-1", "key‐1", "sig", "enc", "verify", "RSA", "rsa", "AQAB",
    "AQABAA", "AAEAAQ", "AQAB=", "AQAC", "Aw", "web", "user-1", "user-2", "USER-1", "user-1 ",
    ISSUER, f"{ISSUER}/", ISSUER.upper(), LIST_URI, f"{LIST_URI}/", f"{ISSUER}/status/2",
    f"{ISSUER}.evil/status/1", f"{ISSUER}/../status/1", "http://id.example.test/status/1",
    f"{ISSUER}:443/status/1", f"{ISSUER}/status/1?x", f"{ISSUER}/status/1#x", f"{ISSUER}/",
    f"{ISSUER}//status/1", f"{ISSUER}/status/%31", f"{ISSUER}@evil/status/1", f"{ISSUER}\\status/1",
    "https://api.example.test", "https://api.example.test/", "HTTPS://API.EXAMPLE.TEST",
    "https://api.example.tesT", "é", "e\u0301", "𝄞", "\ufffd", "\x7f", "\u2028", "\uffff",
]
"""Values for members that are strings."""

LIMITS = [0, 1, 29, 30, 31, 60, 299, 300, 301, 900, 929, 930, 931, 3600, 3629, 3630, 3631, 86400]
"""Boundaries of validity periods in seconds from now, and their neighbours."""

VALUES = [Raw(text) for text in VALID_JSON]
TIMES = [Raw(str(NOW + sign * edge)) for edge in LIMITS for sign in (1, -1)]
