"""The device package, to freeze into an image of your own: include("path/to/firmware/manifest.py")."""
# ruff: noqa: F821 - MicroPython gives a manifest its functions

metadata(description="MQTT to AWS IoT Core with a user name and a password over port 443", license="MIT")

require("umqtt.simple")
package("mqtt443")
