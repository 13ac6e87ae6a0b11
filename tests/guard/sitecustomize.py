"""Python imports this at its start while the tests run, because they put this folder on PYTHONPATH."""

import no_network

no_network.install()
