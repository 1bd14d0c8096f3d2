"""The networks, by name: see `build`. One is added by an entry in `NETWORKS`."""

from minixception.messages import explained

try:
    from minixception.models.registry import (
        NETWORKS,
        Network,
        build,
        check_input,
        is_shipped,
        network_names,
    )
except ModuleNotFoundError as error:
    raise explained(error) from None

__all__ = ["NETWORKS", "Network", "build", "check_input", "is_shipped", "network_names"]
