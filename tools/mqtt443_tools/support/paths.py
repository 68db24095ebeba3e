"""Where things are in a checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
UMQTT = ROOT / "build" / "umqtt"  # a folder for sys.path that holds the package `umqtt`, see fetch_umqtt.py
STATE = Path(".mqtt443")  # the local mode's default state folder, in the working directory
AUTHORIZER = ROOT / "authorizer"  # the folder that Lambda gets: it holds the package mqtt443_authorizer
