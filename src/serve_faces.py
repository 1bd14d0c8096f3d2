"""Analyze pictures over HTTP; see `--help`. Also `minixception serve`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("serve", program="serve_faces.py"))
