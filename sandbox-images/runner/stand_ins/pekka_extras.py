"""What the host has put beside a sandbox for its task (docs/decisions/0008): packages and inputs, read-only.

`layer` is on the path already, behind the image's packages (site/pekka.pth). `environment` replaces some of the image's, so
it stands before them, and behind the standard library. Inputs open by their address as if there were a network."""

import os
import sys

EXTRAS = "/srv/pekka"
LAYER = EXTRAS + "/layer"
ENVIRONMENT = EXTRAS + "/environment"
INPUTS = EXTRAS + "/inputs.json"


def begin() -> None:
    """At the start of an interpreter, and in one that was started before its task was known."""
    if os.path.isdir(LAYER) and LAYER not in sys.path:
        sys.path.append(LAYER)
    if os.path.isdir(ENVIRONMENT) and ENVIRONMENT not in sys.path:
        sites = [index for index, entry in enumerate(sys.path) if entry.endswith("/site-packages")]
        sys.path.insert(sites[0] if sites else len(sys.path), ENVIRONMENT)
    if os.path.exists(INPUTS) and "pekka_inputs" not in sys.modules:
        import pekka_inputs

        pekka_inputs.plant(INPUTS)
