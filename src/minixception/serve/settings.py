"""The settings of a service."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from minixception.checkpoints.shipped import DEFAULT_DETECTOR
from minixception.files import checkout_root

# Where the processes of a service share their metrics: prometheus_client reads it at import.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def _bound(default: int, text: str) -> int:
    """Declare a limit with what `--help` says about it."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Limits:
    """The limits of one process of the service.

    Raises:
        ValueError: if one is below 1.
    """

    megabytes: int = _bound(20, "megabytes in a request")
    megapixels: int = _bound(50, "megapixels of a picture, checked before decoding; phones take 50")
    pictures: int = _bound(16, "pictures in a request")
    requests: int = _bound(64, "requests at a time, in each process")
    seconds: int = _bound(30, "seconds in which a request must arrive")

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) < 1:
                raise ValueError(
                    f"--most-{each.name} must be 1 or more. Received: {getattr(self, each.name)}"
                )


@dataclass(frozen=True)
class Settings:
    """What all processes of a service share.

    Attributes:
        models: task -> name or folder of the model to use unless a request names another.
        detector: likewise, one of `detection.registry.DETECTORS`.
        limits: those of each process.
        token: what requests must carry, None for no token.
        page: folder of the built page, None if there is none.
        workers: number of processes.
    """

    models: Mapping[str, str]
    detector: str = DEFAULT_DETECTOR
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    page: Path | None = None
    workers: int = 1


SHORTEST_TOKEN = 16


def read_token(path: Path) -> str:
    """Return the token in a file, without the white space around it.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no token: one line of at least `SHORTEST_TOKEN` printable ASCII
            characters, the only ones that a header carries safely.
    """
    token = path.read_bytes().strip()
    is_safe = token.isascii() and all(33 <= byte < 127 for byte in token)
    if not is_safe or len(token) < SHORTEST_TOKEN:
        raise ValueError(
            f"{path} must hold a token of at least {SHORTEST_TOKEN} letters, digits and symbols, "
            'such as python -c "import secrets; print(secrets.token_urlsafe())" prints'
        )
    return token.decode("ascii")


def find_page(folder: Path | None = None) -> Path | None:
    """Return the folder of the built page: the one given, else that of the checkout, if built.

    Raises:
        FileNotFoundError: if the folder given has no page in it.
    """
    if folder is not None:
        if not (folder / "index.html").is_file():
            raise FileNotFoundError(f"{folder} has no index.html: `make web` builds the page")
        return folder.absolute()
    root = checkout_root()
    built = None if root is None else root / "web" / "dist"
    return built if built is not None and (built / "index.html").is_file() else None
