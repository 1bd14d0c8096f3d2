"""Show which parts of a face support its label; see `--help`. Also `minixception explain`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("explain", program="image_gradcam_demo.py"))
