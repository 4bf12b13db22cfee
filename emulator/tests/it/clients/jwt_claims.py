"""Verifies a token with PyJWT and prints its claims, and whether a changed one would pass."""

import json
import sys

import jwt

given = json.load(sys.stdin)
claims = jwt.decode(given["token"], given["pem"], algorithms=["PS256"], options={"verify_iat": False})
head, payload, signature = given["token"].split(".")
try:
    jwt.decode(f"{head}.{payload}.{signature[::-1]}", given["pem"], algorithms=["PS256"])
    claims["forged"] = True
except jwt.InvalidTokenError:
    claims["forged"] = False
json.dump(claims, sys.stdout)
