"""The networks, by name.

    from minixception import models

    model = models.build("mini_xception", (64, 64, 1), 7)
    model.count_params()  # 58,423

A network is added by one entry in `NETWORKS`.
"""

from minixception.models.registry import NETWORKS, Network, build, check_input, network_names

__all__ = ["NETWORKS", "Network", "build", "check_input", "network_names"]
