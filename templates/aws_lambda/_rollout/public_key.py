"""Verify a signature by a public key, over the OpenSSL that Python itself is linked with.

The runtime brings no library for signatures, and a check that needs none has nothing to install.
"""

import base64
import ctypes
import ctypes.util
import importlib
from pathlib import Path
from typing import Final

_KINDS: Final = {
    "2b6570": ("Ed25519", None),
    "2a8648ce3d030107": ("ECDSA P-256", b"SHA256"),
    "2b81040022": ("ECDSA P-384", b"SHA384"),
    "2b81040023": ("ECDSA P-521", b"SHA512"),
    "2a864886f70d010101": ("RSA", b"SHA256"),
}
"""By the object identifier that the key begins with; those that `packager sign` signs by."""
_RSA: Final = "RSA"
_LEAST_RSA_BYTES: Final = 290
"""Of a key of 2048 bits, with what says that it is one."""
_LIBRARY: Final = "libcrypto"


class KeyUnusableError(Exception):
    """The key, or what would verify by it, cannot be used."""


class PublicKey:
    """A public key, given as the base64 of its DER: a PEM file without its first and last line."""

    def __init__(self, text: str) -> None:
        """Raises KeyUnusableError for what is no key of a kind that `packager sign` signs by."""
        try:
            der = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise KeyUnusableError(
                f"RolloutSignedBy is no base64 of a public key: {error}"
            ) from None
        algorithm = _find_algorithm(der)
        found = [kind for oid, kind in _KINDS.items() if bytes.fromhex(oid) in algorithm]
        if not found or (found[0][0] == _RSA and len(der) < _LEAST_RSA_BYTES):
            kinds = ", ".join(name for name, _ in _KINDS.values())
            raise KeyUnusableError(
                f"RolloutSignedBy is no public key of {kinds} (2048 bits or more)"
            )
        ((self.kind, self._digest),) = found
        self._crypto = _load_openssl()
        given = ctypes.c_char_p(der)
        self._key = self._crypto.d2i_PUBKEY(None, ctypes.byref(given), len(der))
        if not self._key:
            raise KeyUnusableError(f"RolloutSignedBy begins as a key of {self.kind}, and is none")

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the holder of the key signed the message. Raises KeyUnusableError."""
        crypto, padding = self._crypto, ctypes.c_void_p()
        context = crypto.EVP_MD_CTX_new()
        try:
            digest = self._digest and crypto.EVP_get_digestbyname(self._digest)
            begun = crypto.EVP_DigestVerifyInit(
                context, ctypes.byref(padding), digest, None, self._key
            )
            if begun == 1 and self.kind == _RSA:
                begun = crypto.EVP_PKEY_CTX_ctrl_str(padding, b"rsa_padding_mode", b"pss")
            if begun != 1:
                raise KeyUnusableError(f"OpenSSL cannot verify by a key of {self.kind} here")
            # 0 for another signature, less for what is none
            told = crypto.EVP_DigestVerify(
                context, signature, len(signature), message, len(message)
            )
            return bool(told == 1)
        finally:
            crypto.EVP_MD_CTX_free(context)
            crypto.ERR_clear_error()


def _find_algorithm(der: bytes) -> bytes:
    """Return the AlgorithmIdentifier of a SubjectPublicKeyInfo, as RFC 5280 has it."""
    first = 2 + (der[1] & 0x7F if der[1:2] >= b"\x80" else 0)
    return der[first + 2 : first + 2 + der[first + 1]] if len(der) > first + 1 else b""


def _load_openssl() -> ctypes.CDLL:
    """Load the library that Python's own modules use. Raises KeyUnusableError without one."""
    importlib.import_module("_hashlib")  # which loads it
    places = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    loaded = [each for each in places if Path(each).name.startswith(_LIBRARY)]
    name = loaded[0] if loaded else ctypes.util.find_library("crypto")
    if name is None:
        raise KeyUnusableError("This Python brings no OpenSSL: name a key in KMS in its place")
    crypto = ctypes.CDLL(name)
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    for function, result, arguments in (
        ("d2i_PUBKEY", pointer, (pointer, pointer, ctypes.c_long)),
        ("EVP_MD_CTX_new", pointer, ()),
        ("EVP_MD_CTX_free", None, (pointer,)),
        ("EVP_get_digestbyname", pointer, (text,)),
        ("EVP_DigestVerifyInit", ctypes.c_int, (pointer,) * 5),
        ("EVP_PKEY_CTX_ctrl_str", ctypes.c_int, (pointer, text, text)),
        ("EVP_DigestVerify", ctypes.c_int, (pointer, text, size, text, size)),
        ("ERR_clear_error", None, ()),
    ):
        declared = getattr(crypto, function)
        declared.restype, declared.argtypes = result, arguments
    return crypto
