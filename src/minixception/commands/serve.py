"""Analyze pictures over HTTP, as `minixception image --json` would, and serve the page.

    python src/serve_faces.py
    curl -H "Content-Type: image/jpeg" --data-binary @photo.jpg http://127.0.0.1:8000/v1/faces

It listens only on this machine unless --host says otherwise; docs/service.md shows how to put it
behind a proxy. /docs describes the API, / is the page that `make web` builds, and /metrics is for
Prometheus. No picture is kept or logged. Ctrl-C or SIGTERM ends it once the requests in progress
have been answered.
"""

import argparse
import ipaddress
import os
import sys
from dataclasses import fields
from pathlib import Path

from minixception.checkpoints.shipped import DEFAULT_DETECTOR
from minixception.commands.options import FILM_SIZES, add_model_arguments, chosen_models
from minixception.messages import require
from minixception.serve.settings import SHORTEST_TOKEN, Limits, Settings, find_page, read_token


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="host name or address to listen on")
    add("--port", type=int, default=8000, help="0 takes any free port")
    token = f"require the token in this file, which has {SHORTEST_TOKEN} characters or more"
    add("--token-file", type=Path, metavar="FILE", help=token)
    page = "the built page (default: web/dist of the checkout)"
    add("--page", type=Path, metavar="FOLDER", help=page)
    for name, default, text in (
        ("workers", 1, "number of processes; a single one already uses all cores"),
        *((f"most-{each.name}", each.default, each.metadata["help"]) for each in fields(Limits)),
    ):
        add(f"--{name}", type=int, default=default, metavar="N", help=text)
    add_model_arguments(parser, engines=False)
    detector = "detector to use unless a request names another"
    add("--detector", choices=FILM_SIZES, default=DEFAULT_DETECTOR, help=detector)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; return the exit code."""
    require("fastapi", "fastapi_offline", "prometheus_client", "uvicorn", what="serve")
    settings, host, file = _settings(arguments), arguments.host, arguments.token_file
    if file is None and not _is_loopback(host):
        advice = "use --token-file, or a proxy with a password"
        print(f"anybody who can reach {host} can use this service; {advice}", file=sys.stderr)
    if file is not None and os.name != "nt" and file.stat().st_mode & 4:
        readers = f"every user of this machine can read {file}"
        print(f"{readers}; chmod o-r prevents that", file=sys.stderr)
    from minixception.serve.server import run_service

    run_service(settings, host, arguments.port)
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the options ask for."""
    if arguments.workers < 1:
        raise ValueError(f"--workers must be 1 or more. Received: {arguments.workers}")
    if not 0 <= arguments.port < 65536:
        raise ValueError(f"--port must lie between 0 and 65535. Received: {arguments.port}")
    limits = {each.name: getattr(arguments, f"most_{each.name}") for each in fields(Limits)}
    return Settings(
        models=chosen_models(arguments),
        detector=arguments.detector,
        limits=Limits(**limits),
        token=None if arguments.token_file is None else read_token(arguments.token_file),
        page=find_page(arguments.page),
        workers=arguments.workers,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
