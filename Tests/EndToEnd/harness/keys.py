"""Key pairs of every kind, and the tokens and texts that are made with them."""

import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from harness.tokens import base64url

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {
    "ES256": (ec.SECP256R1(), "P-256", 32),
    "ES384": (ec.SECP384R1(), "P-384", 48),
    "ES512": (ec.SECP521R1(), "P-521", 66),
}
ALGORITHMS = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]


def number(value, count=None):
    count = count or (value.bit_length() + 7) // 8
    return base64url(value.to_bytes(count, "big"))


class Key:
    """A new key pair for one algorithm."""

    def __init__(self, algorithm, kid=None):
        self.algorithm = algorithm
        self.kid = kid
        if algorithm in CURVES:
            self.private = ec.generate_private_key(CURVES[algorithm][0])
        elif algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa.generate_private_key(65537, 2048)
        self.public = self.private.public_key()

    # The public key, as a server gets it.

    def _encoded(self, encoding):
        return self.public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self):
        return self._encoded(serialization.Encoding.PEM).decode()

    @property
    def der(self):
        return self._encoded(serialization.Encoding.DER)

    @property
    def private_pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def jwk(self):
        members = {"alg": self.algorithm, "use": "sig"}
        if self.kid is not None:
            members["kid"] = self.kid
        if self.algorithm in CURVES:
            _, name, count = CURVES[self.algorithm]
            numbers = self.public.public_numbers()
            x, y = number(numbers.x, count), number(numbers.y, count)
            return {**members, "kty": "EC", "crv": name, "x": x, "y": y}
        if self.algorithm == "EdDSA":
            return {**members, "kty": "OKP", "crv": "Ed25519", "x": base64url(self.raw)}
        numbers = self.public.public_numbers()
        return {**members, "kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}

    @property
    def raw(self):
        return self.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    # Signatures.

    def sign(self, message, algorithm=None):
        """Returns the signature in the form of a token, by this or another algorithm."""
        algorithm = algorithm or self.algorithm
        if algorithm == "EdDSA":
            return self.private.sign(message)
        digest = HASHES[algorithm[2:]]
        if algorithm in CURVES:
            count = (self.private.key_size + 7) // 8
            r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(digest)))
            return r.to_bytes(count, "big") + s.to_bytes(count, "big")
        if algorithm.startswith("PS"):
            salt = padding.PSS(padding.MGF1(digest), digest.digest_size)
            return self.private.sign(message, salt, digest)
        return self.private.sign(message, padding.PKCS1v15(), digest)

    def token(self, user="u", header=None, signature=None, **claims):
        """A token of a user; `header` has further members, `signature` replaces the right one."""
        head = {"alg": self.algorithm, **({"kid": self.kid} if self.kid is not None else {})}
        return self.assemble({**head, **(header or {})}, self.claims(user, **claims), signature)

    @staticmethod
    def claims(user, **claims):
        return {"sub": user, "exp": int(time.time()) + 3600, **claims}

    def assemble(self, header, claims, signature=None):
        start = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        signed = self.sign(start.encode()) if signature is None else signature
        return f"{start}.{base64url(signed)}"


def key_set(*keys):
    """The text of a JWKS."""
    return json.dumps({"keys": [key.jwk for key in keys]})
