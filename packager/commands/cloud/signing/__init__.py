"""Sign an artifact, and open the keys that it is held to: files, AWS KMS, Azure Key Vault, logins.

signers.py is the door; the others know one place of keys each.
"""
