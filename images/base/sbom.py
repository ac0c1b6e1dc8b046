"""Prints what is inside this image, as CycloneDX JSON: the server's packages, the model's, and the system's.

    docker run --rm --entrypoint python IMAGE /opt/azmlinfsrv/image/sbom.py

The same content gives the same text: there is no time in it, and its serial number is made from the list itself.
"""

import argparse
import json
import subprocess
import sys
import uuid

SERVER = "/opt/azmlinfsrv/bin/python"
DPKG = "/var/lib/dpkg/status"
_SPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's name space for object identifiers

# Run by each environment's own interpreter: only that one knows what it can import.
_LIST = """
import json
try:
    from importlib import metadata
except ImportError:
    raise SystemExit("[]")
rows = []
for found in metadata.distributions():
    name, version = found.metadata["Name"], found.version
    if not name or not version:
        continue
    licence = found.metadata.get("License-Expression") or ""
    if not licence:
        classed = [text for text in found.metadata.get_all("Classifier") or () if text.startswith("License :: ")]
        licence = classed[0].rpartition(" :: ")[2] if classed else (found.metadata.get("License") or "")
    rows.append([name, version, licence.strip().splitlines()[0][:100] if licence.strip() else ""])
print(json.dumps(rows))
"""


def python_packages(interpreter, environment):
    """The distributions that an interpreter finds, as components."""
    ran = subprocess.run([interpreter, "-c", _LIST], stdout=subprocess.PIPE, check=True)
    for name, version, licence in json.loads(ran.stdout.decode("utf-8")):
        normal = name.lower().replace("_", "-").replace(".", "-")
        yield component("library", normal, version, f"pkg:pypi/{normal}@{version}", licence, environment)


def system_packages(path):
    """What the system's package manager installed, as components; nothing where it keeps no such list."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            entries = file.read().split("\n\n")
    except OSError:
        return
    for entry in entries:
        pairs = (line.partition(": ") for line in entry.splitlines() if not line.startswith(" "))
        fields = {key: value for key, _, value in pairs}
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={fields.get('Architecture', 'all')}"
            yield component("library", name, version, purl, "", "system")


def component(kind, name, version, purl, licence, environment):
    """One entry of the list. `environment`: server, model or system."""
    made = {
        "type": kind,
        "bom-ref": f"{environment}/{purl}",
        "name": name,
        "version": version,
        "purl": purl,
        "properties": [{"name": "azmlinfsrv:environment", "value": environment}],
    }
    if licence:
        made["licenses"] = [{"license": {"name": licence}}]
    return made


def document(name, components):
    """The whole list, sorted, each component once."""
    found = sorted({item["bom-ref"]: item for item in components}.values(), key=lambda item: item["bom-ref"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, json.dumps(found, sort_keys=True))}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": name}},
        "components": found,
    }


def main():
    """Print the list."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--name", default="azmlinfsrv", help="Name of the image.")
    words.add_argument("--python", default=sys.executable, help="The model's interpreter. Default: this one.")
    given = words.parse_args()
    components = [
        *python_packages(SERVER, "server"),
        *python_packages(given.python, "model"),
        *system_packages(DPKG),
    ]
    print(json.dumps(document(given.name, components), indent=1))


if __name__ == "__main__":
    main()
