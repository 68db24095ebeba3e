"""The device package for whoever freezes it into an image of their own: include("path/to/firmware/manifest.py")."""
# ruff: noqa: F821 - MicroPython gives a manifest its functions

metadata(description="MQTT to AWS IoT Core with a user name and a password over port 443", license="MIT")

require("umqtt.simple")
package("mqtt443")
