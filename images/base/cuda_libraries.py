"""Prints the folders of the shared libraries that NVIDIA's wheels brought, one a line: for the loader's configuration."""

import os
import sysconfig


def folders():
    """The folders, in the order of their names; none where only CPU wheels are installed."""
    root = os.path.join(sysconfig.get_path("purelib"), "nvidia")
    found = {where for where, _, files in os.walk(root) for name in files if ".so" in name}
    return sorted(found)


if __name__ == "__main__":
    print("\n".join(folders()))
