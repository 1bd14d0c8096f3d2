"""The networks, by name.

    from minixception import models

    model = models.build("mini_xception", (64, 64, 1), 7)
    model.count_params()  # 58,423

A network is added by one entry in `NETWORKS`.
"""

from minixception.messages import explained

try:
    from minixception.models.registry import NETWORKS, Network, build, check_input, network_names
except ModuleNotFoundError as error:
    raise explained(error) from None

__all__ = ["NETWORKS", "Network", "build", "check_input", "network_names"]
