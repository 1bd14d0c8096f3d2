"""What the service is told when it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from minixception.files import checkout_root


def _bound(default: int, text: str) -> int:
    """Declare a bound with what `--help` says about it."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Limits:
    """What one process of the service takes on; the fields say what each bounds.

    Raises:
        ValueError: if one is below 1.
    """

    megabytes: int = _bound(20, "of a request")
    megapixels: int = _bound(50, "of a picture, checked before it is decoded; phones take 50")
    pictures: int = _bound(16, "in a request")
    requests: int = _bound(64, "under way at a time, in each process")
    seconds: int = _bound(30, "until a request must have been sent")

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) < 1:
                raise ValueError(
                    f"--most-{each.name} must be 1 or more. Received: {getattr(self, each.name)}"
                )


@dataclass(frozen=True)
class Settings:
    """Everything that the processes of a service have in common.

    Attributes:
        models: task -> name or folder of the model that answers unless a request names another.
        detector: likewise, one of `detection.registry.DETECTORS`.
        limits: what a process takes on.
        token: that requests must bring, None if anybody may ask.
        page: the folder of the built page, None if there is none.
        workers: number of processes.
    """

    models: Mapping[str, str]
    detector: str = "haar"
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    page: Path | None = None
    workers: int = 1


SHORTEST_TOKEN = 16


def read_token(path: Path) -> str:
    """Return the token in a file, without the white space around it.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no token: one line of at least `SHORTEST_TOKEN` printable characters
            of ASCII, the only ones that a header carries safely.
    """
    token = path.read_bytes().strip()
    is_safe = token.isascii() and all(33 <= byte < 127 for byte in token)
    if not is_safe or len(token) < SHORTEST_TOKEN:
        raise ValueError(
            f"{path} must hold a token of at least {SHORTEST_TOKEN} letters, digits and signs, "
            'such as python -c "import secrets; print(secrets.token_urlsafe())" prints'
        )
    return token.decode("ascii")


def find_page(folder: Path | None = None) -> Path | None:
    """Return the folder of the built page: the one given, or that of the checkout if it is built.

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
