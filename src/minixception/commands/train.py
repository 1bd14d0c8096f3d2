"""Train a classifier of any task, such as whether a face wears glasses.

    minixception train --task glasses --dataset pictures

It trains on one split, chooses the best epoch on a second and never reads the third. The task goes
on the card of the model, and everything else follows the card. The task `roll` is for the
network that checks what a detector finds.
"""

from minixception.commands.training_options import add_arguments, run

__all__ = ["add_arguments", "run"]
