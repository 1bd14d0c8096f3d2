"""What is trained, and with which settings."""

from dataclasses import dataclass

FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FERPLUS = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
# The column of FER+ that each emotion of FER2013 is.
SAME = (0, 2, 3, 4, 6, 7, 5)
# The outputs of a teacher.
HEADS = {"fer2013": slice(0, 7), "ferplus": slice(7, 15)}
# Contempt, of which there are few faces, counts three times.
FERPLUS_WEIGHTS = (1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Settings:
    """How one loop trains; the names are those of the project's recipes."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    ema_momentum: float
    mixup: float
    warmup: float = 0.1
    label_smoothing: float = 0.0
    rotation: float = 12.0
    shift: float = 0.1
    zoom: float = 0.12
    light: float = 0.0
    blur: float = 0.0
    erasing: float = 0.0
    outliers: float = 0.0
    teacher_share: float = 0.0


TEACHER = Settings(
    epochs=24, batch_size=128, learning_rate=1e-3, weight_decay=0.03, ema_momentum=0.997,
    mixup=0.3, label_smoothing=0.1, shift=0.08, zoom=0.13, light=0.2, blur=0.01, erasing=0.2,
)  # fmt: skip
STUDENT = Settings(
    epochs=100, batch_size=256, learning_rate=8e-3, weight_decay=0.02, ema_momentum=0.997,
    mixup=0.4, light=0.2, blur=0.02, outliers=0.05, teacher_share=0.8,
)  # fmt: skip
FACES_FILE = "faces.npz"

SEEDS = (0, 1, 2, 3)
TEACHER_NETWORK = "facenet_mobilenet"
TEACHER_SIZE = 128
# So many teachers, in turn, are asked about each batch.
TEACHERS_A_STEP = 2


@dataclass(frozen=True)
class Student:
    """A network, the size of its input, the data set whose classes it learns, and how it begins.

    >>> Student.parse("mini_xception:64:fer2013").stem
    'mini_xception_64_fer2013'
    >>> Student.parse("mini_xception:64:fer2013=runs/models/mini_xception").stem
    'mini_xception_64_fer2013_again'
    """

    network: str
    size: int
    dataset: str
    start: str = ""
    """Checkpoint with whose weights it begins; without one they are random."""

    @classmethod
    def parse(cls, text: str) -> "Student":
        """Read `NETWORK:SIZE:DATASET`, or `NETWORK:SIZE:DATASET=CHECKPOINT`."""
        what, _, start = text.partition("=")
        network, size, dataset = what.split(":")
        return cls(network, int(size), dataset, start)

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{self.network}_{self.size}_{self.dataset}" + ("_again" if self.start else "")

    @property
    def start_file(self) -> str:
        """Name of the file of the weights that it begins with."""
        return f"start_{self.stem}.npz"


STUDENTS = tuple(
    Student.parse(f"{network}:64:{dataset}")
    for network, dataset in (
        ("mini_xception", "fer2013"),
        ("mini_xception_wide", "fer2013"),
        ("mini_xception", "ferplus"),
    )
)
