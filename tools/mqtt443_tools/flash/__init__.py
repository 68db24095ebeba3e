"""`mqtt443 flash`: puts a MicroPython image on a board over USB.

`command` is what a person types. Below it, `ports` finds and opens the port, `board` talks to the chip (through
esptool, which nothing else here imports), `image` and `partitions` read what is to be written, `contents` looks for
files on the board, `sources` and `download` get images.
"""
