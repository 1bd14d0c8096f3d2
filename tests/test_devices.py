"""A training step that is shared between devices, or cores."""

from pathlib import Path

import keras
import pytest

from own_process import run_python
from systems import for_test_cluster

HERE = Path(__file__).parent

pytestmark = [
    for_test_cluster,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="devices take TensorFlow"),
]


def test_two_devices_share_each_step_and_give_the_history_of_one(tmp_path: Path) -> None:
    """With two processors made of one, since TensorFlow cannot divide it any more in this one."""
    script = """
from pathlib import Path

import pytest, tensorflow as tf

tf.config.set_visible_devices([], "GPU")
(processor,) = tf.config.list_physical_devices("CPU")
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, halves)

from minixception.training.acceleration import accelerated
from minixception.training.trainer import train
from pattern_runs import build_network, faces, interrupt, make_run

twin = accelerated(build_network(), replicas=2, devices=2)

@tf.function
def gradients(images):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(twin(images, training=True) ** 2)
    return tape.gradient(loss, twin.trainable_variables)

steps = gradients.get_concrete_function(tf.zeros((8, 8, 8, 1))).graph.get_operations()
places = sorted(each.device for each in steps if each.type == "Conv2DBackpropFilter")
assert places == ["/device:CPU:0", "/device:CPU:1"], places

def run(devices, folder):
    uneven = faces(21, seed=1)  # in batches of 8
    return make_run(Path(folder), training=uneven, devices=devices)

expected = [pytest.approx(row, rel=1e-4) for row in train(run(1, "one"), verbose=0)]
interrupt(pytest.MonkeyPatch(), "plot_history", call=2, run=run(2, "two"), resume=False)
assert train(run(2, "two"), resume=True, verbose=0) == expected
"""
    head = f"import os, sys; os.chdir({str(tmp_path)!r}); sys.path.append({str(HERE)!r})\n"
    done = run_python("-c", head + script)
    assert done.returncode == 0, done.stderr


def test_cores_are_divided_before_tensorflow_begins_and_never_after() -> None:
    script = """
import os, keras, tensorflow as tf
from minixception.training.acceleration import divide_cores
threads = tf.config.threading.get_intra_op_parallelism_threads
divide_cores(1)
assert threads() == 0, "one replica has what TensorFlow chooses"
divide_cores(2)
assert threads() == max(os.cpu_count() // 2, 1)
keras.ops.zeros(1)
divide_cores(os.cpu_count() * 4)
assert threads() == max(os.cpu_count() // 2, 1)
"""
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr
