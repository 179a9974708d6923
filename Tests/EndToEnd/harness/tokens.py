"""JSON Web Tokens by hand, so that a test can also write tokens that no library would."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "an end-to-end secret of more than thirty-two bytes"
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(signing_input, secret=SECRET, algorithm="HS256"):
    return base64url(hmac.new(secret.encode(), signing_input.encode(), HASHES[algorithm]).digest())


def assemble(header, payload, secret=SECRET, algorithm="HS256"):
    """Returns a token over these exact header and payload bytes, correctly signed."""
    signing_input = f"{base64url(header)}.{base64url(payload)}"
    return f"{signing_input}.{signature(signing_input, secret, algorithm)}"


def sign(claims, secret=SECRET, algorithm="HS256", header=None):
    head = {"alg": algorithm, "typ": "JWT"} if header is None else header
    return assemble(json.dumps(head).encode(), json.dumps(claims).encode(), secret, algorithm)


def user_token(user, ttl=3600, **claims):
    now = int(time.time())
    return sign({"sub": user, "iat": now, "exp": now + ttl, **claims})


def publisher_token(user="a-service", ttl=3600):
    return user_token(user, ttl, scope="publish")
