#!/usr/bin/env python3
"""Reduces Google's discovery document of Cloud KMS to what is used here.

    make-gcp-description.py cloudkms.v1.json > api/google-cloud-kms-v1.json

Names, types and values are kept, texts are not.
"""

import json
import sys

USED = ["list", "get", "getPublicKey", "asymmetricSign", "create", "patch"]

document = json.load(open(sys.argv[1], encoding="utf-8"))
rings = document["resources"]["projects"]["resources"]["locations"]["resources"]["keyRings"]
keys = rings["resources"]["cryptoKeys"]
versions = keys["resources"]["cryptoKeyVersions"]
methods = [versions["methods"][name] for name in USED]
methods += [keys["methods"][name] for name in ("list", "create")]


def value(described):
    """One property or parameter."""
    if "$ref" in described:
        return {"ref": described["$ref"]}
    kept = {k: described[k] for k in ("type", "format", "enum") if k in described}
    if "enum" in kept:
        # The JSON form of protocol buffers takes an enumeration's numbers too.
        kept["numbers"] = True
    if "items" in described:
        inner = value(described["items"])
        kept["items"] = {"type": "object"} if "ref" in inner else inner
    return kept


def reached(name, found):
    """All schemas that a body may hold."""
    if name in found:
        return
    properties = document["schemas"][name].get("properties", {})
    found[name] = {"properties": {k: value(v) for k, v in sorted(properties.items())}}
    for described in properties.values():
        if "$ref" in described:
            reached(described["$ref"], found)


operations, schemas = [], {}
for method in methods:
    operation = {
        "id": method["id"].removeprefix("cloudkms.projects.locations.keyRings."),
        "method": method["httpMethod"],
        "path": "/" + method["flatPath"],
        "query": {
            name: value(parameter)
            for name, parameter in sorted(method["parameters"].items())
            if parameter["location"] == "query"
        },
    }
    if "request" in method:
        operation["body"] = method["request"]["$ref"]
        reached(operation["body"], schemas)
    operations.append(operation)

reduced = {
    "source": f"Google Cloud KMS v1, discovery document of revision {document['revision']}; "
    "reduced by make-gcp-description.py to the operations that are used",
    # A system parameter of all of Google's APIs, documented apart from them.
    "query": {"$alt": {"type": "string", "enum": ["json", "json;enum-encoding=int"]}},
    "operations": operations,
    "schemas": dict(sorted(schemas.items())),
}
print(json.dumps(reduced, indent=1))
